"""Every config builds, and every key that solo adds is read by something."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.config import get_cfg as get_detectron2_cfg
from detectron2.modeling import build_model

from solo.config import get_cfg
from solo.config.choices import YOLOXHeadName
from solo.config.starting_weights import starting_weights
from solo.data.formats import register_coco_json
from solo.modeling.fuse import prepare_for_inference
from solo.modeling.postprocessing import PostProcessor
from solo.training import Trainer
from solo.training.schedule import resolve_schedule
from tests.conftest import META_ARCHITECTURES, make_cfg, training_item
from tests.toys import registered, square, toy_cfg, write_records
from tests.yolox.conftest import make_yolox_cfg

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def flatten(node, prefix=""):
    for name, value in node.items():
        if isinstance(value, CfgNode):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def added_keys():
    return sorted(set(flatten(get_cfg())) - set(flatten(get_detectron2_cfg())))


class Noted(CfgNode):
    """A config that notes in `READ` which of its keys are read, by their paths."""

    def __init__(self, node: CfgNode, path: str = "") -> None:
        super().__init__({})
        self.__dict__["path"] = path
        for name, value in dict.items(node):
            inner = Noted(value, f"{path}{name}.") if isinstance(value, CfgNode) else value
            dict.__setitem__(self, name, inner)

    def __getitem__(self, name: str) -> Any:
        READ.add(self.path + name)
        return super().__getitem__(name)

    def __deepcopy__(self, memo: object) -> "Noted":
        return Noted(self, self.path)


READ: set[str] = set()


@pytest.fixture(scope="module")
def read_keys(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build each model, train and evaluate one with all augmentations, and return what was read."""
    READ.clear()
    with pytest.MonkeyPatch.context() as patch:
        # It is given MODEL.SOLO.TEST as a whole; what counts is what it looks at.
        patch.setattr(PostProcessor, "__getattribute__", note_attribute)
        for variant in META_ARCHITECTURES:
            cfg = make_cfg(variant)
            cfg.MODEL.SOLO.TEST.SCORE_THRESH, cfg.MODEL.SOLO.TEST.NMS = 0.0, "mask"
            build_model(Noted(cfg)).eval()([training_item()])
        cfg.MODEL.SOLO.ASSIGNMENT = "dynamic"
        build_model(Noted(cfg))
        cfg.MODEL.SOLO.ASSIGNMENT, cfg.MODEL.SOLO.LOSS.SUPERVISION = "grid", "box"
        build_model(Noted(cfg))
        for head in YOLOXHeadName:
            build_model(Noted(make_yolox_cfg(HEAD=head)))
        cfg.MODEL.BACKBONE.NAME, cfg.MODEL.TIMM.NAME = "build_timm_backbone", "test_efficientnet"
        cfg.MODEL.NECK.NAME, cfg.MODEL.TIMM.PRETRAINED = "bifpn", "hub"
        build_model(Noted(cfg))
        starting_weights(Noted(cfg))
        train_and_evaluate(tmp_path_factory.mktemp("read"))
    return set(READ)


def note_attribute(rule: PostProcessor, name: str) -> Any:
    READ.add(f"MODEL.SOLO.TEST.{name.upper()}")
    return object.__getattribute__(rule, name)


def train_and_evaluate(folder: Path) -> None:
    images = [[square(4, 4, 30), square(20, 8, 30, 1)], [square(8, 8, 30, 2)]]
    with registered(write_records(folder, images)) as name:
        cfg = toy_cfg(name)
        cfg.DATASETS.TEST = (name,)
        cfg.OUTPUT_DIR = str(folder)
        cfg.SOLVER.MAX_ITER = cfg.TEST.PATIENCE = 1
        cfg.SOLVER.AMP.ENABLED = cfg.TEST.AMP.ENABLED = True
        cfg.MODEL.SOLO.TEST.SCORE_THRESH = 0.0
        cfg.INPUT.CROP.ENABLED = cfg.INPUT.JITTER.ENABLED = True
        cfg.INPUT.JITTER.IMAGE_SIZE = [48, 64]
        for step in ("COLOR_JITTER", "AFFINE", "MOSAIC", "COPY_PASTE", "MIXUP"):
            cfg.INPUT[step].PROB = 1.0
        noted = Noted(cfg)
        register_coco_json(noted)
        resolve_schedule(noted)
        trainer = Trainer(noted)
        trainer.resume_or_load()
        trainer.train()
        prepare_for_inference(trainer.module.eval(), noted)


@pytest.mark.parametrize("key", added_keys())
def test_every_key_is_read(key: str, read_keys: set[str]) -> None:
    assert key in read_keys


def test_keys_that_nothing_reads_are_told(read_keys: set[str]) -> None:
    assert "MODEL.RPN.NMS_THRESH" not in read_keys


def table_rows():
    """Return what configs/README.md says: config -> millions of parameters."""
    rows = {}
    for line in (ROOT / "configs" / "README.md").read_text().splitlines():
        if match := re.match(r"\| \[[\w/]+\]\((.+\.yaml)\) \|", line):
            rows[match.group(1)] = float(line.split("|")[4])
    return rows


def test_every_config_is_in_the_table():
    leaves = {
        str(path.relative_to(ROOT / "configs")) for path in CONFIGS if path.parent.name != "configs"
    }
    assert set(table_rows()) == leaves


@pytest.mark.parametrize("name", sorted(table_rows()))
def test_every_config_trains_a_step_and_finds_instances(name):
    cfg = get_cfg()
    cfg.merge_from_file(str(ROOT / "configs" / name))
    for node in (cfg.MODEL.SOLO, cfg.MODEL.YOLOX):
        node.NUM_CLASSES = node.NUM_CLASSES or 10
    cfg.MODEL.DEVICE = "cpu"
    model = build_model(cfg)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # Batch normalisation needs more than one value a channel, which 64 pixels do not leave at P5.
    items = [training_item(classes=(0, 1)), training_item(classes=(0, 1), seed=1)]
    sum(model(items).values()).backward()
    for parameter in parameters:
        assert torch.isfinite(parameter.grad).all()
        parameter.data -= 1e-4 * parameter.grad
    instances = model.eval()([training_item()])[0]["instances"]
    assert instances.image_size == (64, 64)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert millions == pytest.approx(table_rows()[name], abs=0.051)


def test_defaults_are_the_published_ones():
    node = get_cfg().MODEL.SOLO
    assert node.NUM_GRIDS == [40, 36, 24, 16, 12]
    assert node.SCALE_RANGES == [[1, 96], [48, 192], [96, 384], [192, 768], [384, 2048]]
    assert (node.SIGMA, node.LOSS.MASK_WEIGHT) == (0.2, 3.0)
    test = node.TEST
    assert (test.SCORE_THRESH, test.MASK_THRESH, test.UPDATE_THRESH) == (0.1, 0.5, 0.05)
    assert (test.PRE_NMS_TOPK, test.NMS_KERNEL, test.NMS_SIGMA) == (500, "gaussian", 2.0)
