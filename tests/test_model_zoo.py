import shutil
from pathlib import Path

import pytest
import torch

from solo import model_zoo

CONFIGS = Path(__file__).parents[1] / "configs"


def test_files_and_configs():
    path = model_zoo.get_config_file("coco/solov2_R_50_FPN_3x.yaml")
    assert Path(path).samefile(CONFIGS / "coco" / "solov2_R_50_FPN_3x.yaml")
    cfg = model_zoo.get_config("coco/decoupled_solo_R_50_FPN_1x.yaml")
    assert cfg.MODEL.SOLO.HEAD == "DecoupledSOLOHead" and cfg.SOLVER.MAX_ITER == 90_000


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"no config 'solov3\.yaml'.*coco/solo_R_50_FPN_1x\.yaml"):
        model_zoo.get_config_file("solov3.yaml")
    with pytest.raises(ValueError, match="no trained weights to download"):
        model_zoo.get_config("coco/solov2_R_50_FPN_3x.yaml", trained=True)


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
    monkeypatch.setattr(model_zoo, "_config_root", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"not known.*elsewhere.*Set MODEL\.SOLO\.NUM_CLASSES"):
        model_zoo.get("mine.yaml", device="cpu")


def test_installed_configs_are_found(monkeypatch, tmp_path):
    """In a wheel the configs lie in the package; in a clone, at the top."""
    package = tmp_path / "site-packages" / "solo"
    shutil.copytree(CONFIGS, package / "configs")
    monkeypatch.setattr(model_zoo, "__file__", str(package / "model_zoo.py"))
    assert Path(model_zoo.get_config_file("Base-SOLO.yaml")).parent == package / "configs"
    assert model_zoo.get_config("coco/solov2_R_50_FPN_3x.yaml").SOLVER.MAX_ITER == 270_000
