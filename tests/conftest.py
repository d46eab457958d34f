"""Tiny models and images that the tests share, a mirror of the net, and a disk that is full."""

import contextlib
import logging

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances
from detectron2.utils.logger import setup_logger

from solo.config import get_cfg
from tests.zoo_server import zoo_server

META_ARCHITECTURES = {
    "SOLO": ("SOLO", "SOLOHead"),
    "DecoupledSOLO": ("SOLO", "DecoupledSOLOHead"),
    "DecoupledSOLOLight": ("SOLO", "DecoupledSOLOLightHead"),
    "SOLOv2": ("SOLOv2", "SOLOv2Head"),
}


@pytest.fixture
def loggers_as_before():
    """Undo what setting up logs does to the loggers of this process, where a command is called in it."""
    names = ("solo", "detectron2", "fvcore")
    before = {name: vars(logging.getLogger(name)).copy() for name in names}
    handlers = {name: list(logging.getLogger(name).handlers) for name in names}
    yield
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers[name]
        logger.propagate, logger.level = before[name]["propagate"], before[name]["level"]
        logger.manager._clear_cache()
    setup_logger.cache_clear()


def make_cfg(variant="SOLOv2"):
    """A model of a few thousand weights, 3 classes, for 64 x 64 images on the CPU."""
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.SOLO.HEAD = META_ARCHITECTURES[variant]
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = ""
    cfg.MODEL.BACKBONE.NAME = "build_resnet_fpn_backbone"
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.RESNETS.OUT_FEATURES = ["res2", "res3", "res4", "res5"]
    cfg.MODEL.RESNETS.STEM_OUT_CHANNELS = 8
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 16
    cfg.MODEL.RESNETS.WIDTH_PER_GROUP = 4
    cfg.MODEL.RESNETS.NORM = "BN"
    cfg.MODEL.FPN.IN_FEATURES = ["res2", "res3", "res4", "res5"]
    cfg.MODEL.FPN.OUT_CHANNELS = 32
    cfg.MODEL.SOLO.NUM_CLASSES = 3
    cfg.MODEL.SOLO.NUM_CONVS = 1
    cfg.MODEL.SOLO.CONV_DIM = 32
    cfg.MODEL.SOLO.NUM_GRIDS = [8, 7, 5, 4, 3]
    cfg.MODEL.SOLO.SCALE_RANGES = [[1, 24], [16, 48], [32, 64], [48, 96], [64, 256]]
    cfg.MODEL.SOLO.MASK_FEATURE.CONV_DIM = 32
    cfg.MODEL.SOLO.MASK_FEATURE.DIM = 32
    return cfg


def build(cfg, seed=0):
    torch.manual_seed(seed)
    return build_model(cfg)


def rectangles(size, boxes, classes):
    """Instances whose masks are filled XYXY rectangles."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    instances = Instances(size)
    instances.gt_masks = BitMasks(masks)
    instances.gt_boxes = instances.gt_masks.get_bounding_boxes()
    instances.gt_classes = torch.tensor(classes, dtype=torch.int64)
    return instances


def training_item(boxes=((8, 8, 28, 28), (32, 28, 54, 50)), classes=(0, 2), size=(64, 64), seed=0):
    """A noise image with a bright rectangle per instance, as the mapper would hand it out."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, *size, generator=generator) * 80
    for (left, top, right, bottom), label in zip(boxes, classes, strict=True):
        image[label % 3, top:bottom, left:right] += 150
    instances = rectangles(size, boxes, classes)
    return {
        "image": image,
        "instances": instances,
        "height": size[0],
        "width": size[1],
        "file_name": f"image{seed}.jpg",
    }


@pytest.fixture(params=sorted(META_ARCHITECTURES))
def variant(request):
    return request.param


@pytest.fixture
def tiny_cfg():
    return make_cfg()


@pytest.fixture
def empty_zoo(tmp_path, monkeypatch):
    """A mirror without files, and a cache without files."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("SOLO_CACHE", str(tmp_path / "cache"))
    with zoo_server(tmp_path / "served") as server:
        monkeypatch.setenv("SOLO_ZOO_URL", server.url)
        yield server


@pytest.fixture
def file_size_limit():
    """Return a context in which no file can grow beyond so many bytes, as on a full disk."""
    resource = pytest.importorskip("resource", reason="there are no such limits on Windows")

    @contextlib.contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Python ignores the signal: the write fails with EFBIG, where a full disk has ENOSPC.
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
