from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from torchvision.models import resnet18

from solo import model_zoo
from solo.checkpoint.published import PUBLISHED
from solo.config import names
from solo.config.load import load_config
from solo.inference import Predictor
from tests.zoo_server import COCO_NAMES, mmdet_file, publish

CONFIGS = Path(__file__).parents[1] / "configs"


def test_files_and_configs():
    path = model_zoo.get_config_file("coco/solov2_R_50_FPN_3x.yaml")
    assert Path(path).samefile(CONFIGS / "coco" / "solov2_R_50_FPN_3x.yaml")
    cfg = model_zoo.get_config("coco/decoupled_solo_R_50_FPN_1x.yaml")
    assert cfg.MODEL.SOLO.HEAD == "DecoupledSOLOHead" and cfg.SOLVER.MAX_ITER == 90_000


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"no config 'yolact\.yaml'.*: .*coco/solo_R_50_FPN_1x,"):
        model_zoo.get_config_file("yolact.yaml")
    with pytest.raises(ValueError, match=r"No weights .* there are for coco/solo_R_50_FPN_1x,"):
        model_zoo.get_config("coco/solo_R_101_FPN_3x.yaml", trained=True)


def test_trained_weights_are_named():
    cfg = model_zoo.get_config("coco/solov2_R_50_FPN_3x", trained=True)
    assert cfg.MODEL.WEIGHTS == "solo://coco/solov2_R_50_FPN_3x"
    assert model_zoo.get_config("coco/solov2_R_50_FPN_3x").MODEL.WEIGHTS.startswith("detectron2://")


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("coco/")])
def test_the_number_of_parameters_is_that_of_the_model(name):
    model = build_model(load_config(name, device="meta"))
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name].parameters


def test_a_trained_model_by_name(tmp_path, monkeypatch):
    """The smallest one, in its full size, as mmdetection would have written it."""
    name = "coco/solov2_light_448_R_18_FPN_3x"
    torch.manual_seed(7)
    weights = build_model(load_config(name, device="cpu")).state_dict()
    monkeypatch.setitem(PUBLISHED, name, publish(tmp_path / "mirror", name, mmdet_file(weights)))
    monkeypatch.setenv("SOLO_ZOO_URL", (tmp_path / "mirror").as_uri())
    monkeypatch.setenv("SOLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    entry = next(entry for entry in model_zoo.entries() if entry.name == name)
    assert (entry.average_precision, entry.file, entry.size) == (29.7, None, None)
    model = model_zoo.get(name, trained=True, device="cpu")
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    entry = next(entry for entry in model_zoo.entries() if entry.name == name)
    assert entry.file == model_zoo.download(name) and entry.size == entry.file.stat().st_size

    predictor = Predictor.from_model_zoo(name, device="cpu", opts=["INPUT.MIN_SIZE_TEST", "64"])
    assert predictor.class_names == tuple(COCO_NAMES)
    predictor(np.zeros((64, 64, 3), np.uint8))


def test_a_backbone_by_name_fills_the_model_of_a_config(tmp_path, monkeypatch):
    name, weights = "imagenet/resnet18", resnet18(weights=None).state_dict()
    monkeypatch.setitem(PUBLISHED, name, publish(tmp_path / "mirror", name, weights))
    monkeypatch.setenv("SOLO_ZOO_URL", (tmp_path / "mirror").as_uri())
    monkeypatch.setenv("SOLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    bottom_up = model_zoo.get("coco/solov2_light_448_R_18_FPN_3x", device="cpu").backbone.bottom_up
    assert torch.equal(bottom_up.stem.conv1.weight, weights["conv1.weight"])
    assert torch.equal(bottom_up.res5[1].conv2.weight, weights["layer4.1.conv2.weight"])


def test_a_model_is_built_and_its_weights_are_loaded(monkeypatch):
    loaded = []
    monkeypatch.setattr(model_zoo.SOLOCheckpointer, "load", lambda self, path: loaded.append(path))
    model = model_zoo.get("coco/solov2_light_448_R_18_FPN_3x.yaml", device="cpu")
    assert type(model).__name__ == "SOLOv2" and model.device.type == "cpu"
    assert loaded == ["solo://imagenet/resnet18"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_gpu_the_model_is_built_on_the_cpu():
    model = model_zoo.get("quickstart/solov2_digits.yaml")
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}


def test_the_number_of_classes_is_that_of_the_data_set():
    model = model_zoo.get("quickstart/solov2_digits.yaml", device="cpu")
    assert model.head.category_predictor.out_channels == 10


def test_a_number_of_classes_that_nobody_knows_is_asked_for(monkeypatch, tmp_path):
    config = model_zoo.get_config("quickstart/solov2_digits.yaml")
    config.DATASETS.TRAIN = config.DATASETS.TEST = ("elsewhere",)
    (tmp_path / "mine.yaml").write_text(config.dump())
    monkeypatch.setattr(names, "_config_root", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"not known.*elsewhere.*Set MODEL\.SOLO\.NUM_CLASSES"):
        model_zoo.get("mine.yaml", device="cpu")
