"""The 13 published models by name: files that mmdetection's own detectors make, fetched from a server on this machine.

What is downloaded is small, since it holds a number once for each tensor; what is kept has its full size.
"""

import shutil

import pytest
import torch

pytest.importorskip("mmdet", reason="mmdet is not installed: pip install -e .[parity]")

# Before anything of mmdet: it stands in for mmcv's compiled operators.
from mmdet_models import CONFIGS, build_mmdet_detector

# isort: split
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from test_published_configs import FAMILIES, METAS, PUBLISHED

from solo import model_zoo
from solo.checkpoint import SOLOCheckpointer, published, read_checkpoint, to_mmdet
from solo.checkpoint.comparison import is_counter
from solo.checkpoint.preprocessing import Preprocessing
from solo.inference import Predictor
from tests.zoo_server import publish

COCO_CLASSES = list(CocoDataset.METAINFO["classes"])


def file_of(config, detector):
    """Return what mmdetection 2.x publishes of a detector, with another number in each tensor."""
    weights = {
        key: torch.tensor(float(number)).expand(value.shape)
        for number, (key, value) in enumerate(detector.state_dict().items(), 1)
    }
    return {"meta": METAS["CLASSES"](config.pretty_text), "state_dict": weights}


def expected_of(config):
    """Return how mmdetection's config prepares images."""
    prepared = config.model.data_preprocessor
    return Preprocessing(
        input_format="RGB" if prepared.bgr_to_rgb else "BGR",
        pixel_mean=tuple(prepared.mean),
        pixel_std=tuple(prepared.std),
        stride_in_1x1=config.model.backbone.style == "caffe",
    )


def assert_holds(model, weights):
    """Compare every tensor with mmdetection's, by mmdetection's names."""
    held = to_mmdet(model.state_dict())
    assert held.keys() == weights.keys()
    for key, value in held.items():
        assert value.shape == weights[key].shape, key
        assert is_counter(key) or bool((value == weights[key].flatten()[0]).all()), key


def test_these_are_all():
    entries = published.PUBLISHED.values()
    models = {
        entry.name: entry.source_config
        for entry in entries
        if entry.name.startswith("coco/") and entry.finds == "masks"
    }
    assert models == {f"coco/{name}": config for name, config in PUBLISHED.items()}


@pytest.mark.parametrize("short_name", PUBLISHED)
def test_a_published_model_by_its_name(short_name, empty_zoo, tmp_path, monkeypatch):
    name = f"coco/{short_name}"
    config = Config.fromfile(CONFIGS / PUBLISHED[short_name])
    with torch.device("meta"):
        detector = build_mmdet_detector(PUBLISHED[short_name])
    content = file_of(config, detector)
    monkeypatch.setitem(published.PUBLISHED, name, publish(empty_zoo.folder, name, content))

    model = model_zoo.get(name, trained=True, device="cpu")

    assert_holds(model, content["state_dict"])
    assert len(empty_zoo.paths) == 1
    kept = list((tmp_path / "cache").iterdir())
    assert kept == [model_zoo.download(name)] and kept[0].suffix == ".safetensors"

    # From here on what was converted is all that there is.
    shutil.rmtree(empty_zoo.folder)
    cfg = model_zoo.get_config(name, trained=True)
    for value in model.state_dict().values():
        value.zero_()
    loaded = SOLOCheckpointer(model, complete=True).load(cfg.MODEL.WEIGHTS)
    assert_holds(model, content["state_dict"])
    assert loaded["class_names"] == COCO_CLASSES
    assert read_checkpoint(kept[0])["preprocessing"] == expected_of(config).to_dict()
    assert Preprocessing.of_config(cfg) == expected_of(config)
    if short_name in FAMILIES:
        predictor = Predictor.from_model_zoo(name, device="cpu")
        assert predictor.class_names == tuple(COCO_CLASSES)
    assert len(empty_zoo.paths) == 1
    shutil.rmtree(tmp_path / "cache")  # up to 450 MB
