"""The configs with backbones of timm: each trains from a file by hand, evaluates, resumes and exports, in small.

SOLO_WHOLE_ROWS=1 takes the backbones of the configs themselves; it needs 3 GB on the disk, and minutes.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from solo.checkpoint import read_checkpoint
from solo.config.load import load_config
from solo.errors import UserError
from solo.export.export import ExportRequest, export_model
from solo.training import Trainer
from tests.toys import registered, square, write_records

timm = pytest.importorskip("timm", reason="timm is not installed: pip install timm")
pytest.importorskip("tests.toy_timm")

COCO = Path(__file__).parents[2] / "configs" / "coco"
# By config: a model of the same kind.
SMALLER = {
    "solov2_res2net50_FPN_3x": "toy_res2net",
    "solov2_cspdarknet53_FPN_3x": "toy_cspdarknet",
    "solov2_swin_small_FPN_3x": "toy_swin",
    "solov2_convnext_tiny_FPN_3x": "toy_convnext",
    "solov2_light_448_regnetx_004_FPN_3x": "toy_regnetx",
    "solov2_light_448_mobilenetv3_FPN_3x": "mobilenetv3_small_050",
    "solov2_light_448_efficientnet_lite0_FPN_3x": "toy_efficientnet",
}
WHOLE = os.environ.get("SOLO_WHOLE_ROWS") == "1"
SMALL_HEAD = [
    "MODEL.DEVICE",
    "cpu",
    "MODEL.FPN.OUT_CHANNELS",
    "32",
    "MODEL.SOLO.NUM_CLASSES",
    "3",
    "MODEL.SOLO.NUM_CONVS",
    "1",
    "MODEL.SOLO.CONV_DIM",
    "32",
    "MODEL.SOLO.MASK_FEATURE.CONV_DIM",
    "32",
    "MODEL.SOLO.MASK_FEATURE.DIM",
    "32",
    "MODEL.SOLO.NUM_GRIDS",
    "[8,7,5,4,3]",
    "MODEL.SOLO.SCALE_RANGES",
    "[[1,24],[16,48],[32,64],[48,96],[64,256]]",
    "MODEL.SOLO.TEST.SCORE_THRESH",
    "0.0",
    "MODEL.SOLO.TEST.UPDATE_THRESH",
    "0.0",
    "MODEL.SOLO.TEST.MASK_THRESH",
    "0.3",
    "INPUT.MIN_SIZE_TRAIN",
    "(48,)",
    "INPUT.MAX_SIZE_TRAIN",
    "64",
    "INPUT.MIN_SIZE_TEST",
    "48",
    "INPUT.MAX_SIZE_TEST",
    "64",
    "DATALOADER.NUM_WORKERS",
    "0",
    "SOLVER.IMS_PER_BATCH",
    "2",
    "SOLVER.STEPS",
    "()",
    "SOLVER.WARMUP_ITERS",
    "0",
    "SOLVER.CHECKPOINT_PERIOD",
    "1",
    "TEST.EVAL_PERIOD",
    "0",
    "SEED",
    "1",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    images = [[square(4, 4, 30), square(20, 8, 30, 1)], [square(8, 8, 30, 2)]]
    folder = tmp_path_factory.mktemp("squares")
    with registered(write_records(folder, images)) as name:
        yield name, sorted(folder.glob("*.png"))


def weights_file(name: str, folder: Path, suffix: str) -> tuple[dict[str, torch.Tensor], Path]:
    """Write weights as timm's own files are, with a classifier that no backbone has."""
    torch.manual_seed(5)
    weights = timm.create_model(name).state_dict()
    path = folder / f"weights{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    return weights, path


def trainer_of(cfg, *, resume: bool = False) -> Trainer:
    torch.manual_seed(cfg.SEED)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
    return trainer


def train(cfg, *, resume: bool = False) -> Trainer:
    trainer = trainer_of(cfg, resume=resume)
    trainer.train()
    return trainer


@pytest.mark.parametrize("row", SMALLER)
def test_a_row_trains_evaluates_resumes_and_exports(row, data, tmp_path):
    number, is_swin = sorted(SMALLER).index(row), "swin" in row
    any_size = not is_swin and (WHOLE or "efficientnet" in row)
    dataset, pictures = data
    options = [*SMALL_HEAD, "DATASETS.TRAIN", f"('{dataset}',)", "DATASETS.TEST", f"('{dataset}',)"]
    if not WHOLE:
        options += ["MODEL.TIMM.NAME", SMALLER[row]]
    name = load_config(COCO / f"{row}.yaml", options).MODEL.TIMM.NAME
    weights, file = weights_file(name, tmp_path, (".pth", ".safetensors")[number % 2])

    def config(folder: str, iterations: int):
        (tmp_path / folder).mkdir(exist_ok=True)
        more = ["OUTPUT_DIR", str(tmp_path / folder), "SOLVER.MAX_ITER", str(iterations)]
        more += ["MODEL.TIMM.PRETRAINED", str(file)]
        return load_config(COCO / f"{row}.yaml", [*options, *more])

    trainer = trainer_of(config("whole", 2))
    body = trainer.module.backbone.bottom_up.body.state_dict()
    assert body.keys() <= weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in body.items())
    trainer.train()
    assert 0 <= trainer.evaluate()["segm"]["AP"] <= 100

    train(config("parts", 1))
    file.unlink()  # neither a resumed run nor inference looks at it
    train(config("parts", 2), resume=True)
    once, twice = (
        read_checkpoint(tmp_path / folder / "model_final.pth")["model"]
        for folder in ("whole", "parts")
    )
    assert all(torch.equal(twice[key], value) for key, value in once.items())

    saved = config("parts", 2)
    (tmp_path / "config.yaml").write_text(saved.dump())
    request = ExportRequest(
        config_file=tmp_path / "config.yaml",
        weights=str(tmp_path / "parts" / "model_final.pth"),
        output=tmp_path / "exported",
        format="onnx" if WHOLE or is_swin else "torch_export",
        size=None if any_size else (64, 96),
        images=pictures,
        opts=["INPUT.MIN_SIZE_TEST", "96", "INPUT.MAX_SIZE_TEST", "128"] if any_size else [],
    )
    assert export_model(request).agreement.instances
    if is_swin:
        with pytest.raises(
            UserError, match=r"its graph is of one size: give it, as --size 192x256"
        ):
            export_model(replace(request, size=None))
