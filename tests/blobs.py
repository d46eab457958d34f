"""A model that finds bright blobs, in place of a trained one: what it must find is known; and its inputs."""

import cv2
import numpy as np
import pytest
import torch
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Boxes, Instances
from torch import nn


@META_ARCH_REGISTRY.register()
class BlobFinder(nn.Module):
    """Every connected region brighter than half is an instance of class 1; score: 1 / its rank."""

    def __init__(self, cfg):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(128.0))
        self.mask_format = cfg.MODEL.SOLO.TEST.MASK_FORMAT

    def forward(self, inputs):
        return [{"instances": self.find(item)} for item in inputs]

    def find(self, item):
        gray = item["image"].mean(dim=0).numpy()
        bright = (gray > self.threshold.item()).astype(np.uint8)
        count, labels = cv2.connectedComponents(bright)
        masks = torch.from_numpy(np.stack([labels == i for i in range(1, count)] or [labels < 0]))
        found = Instances((item["height"], item["width"]))
        found.pred_masks = masks
        found.pred_classes = torch.ones(len(masks), dtype=torch.int64)
        found.scores = 1 / torch.arange(1, len(masks) + 1)
        boxes = [cv2.boundingRect(mask.numpy().astype(np.uint8)) for mask in masks]
        found.pred_boxes = Boxes([[x, y, x + w, y + h] for x, y, w, h in boxes])
        return found


@pytest.fixture
def model(tmp_path):
    """Write a config and a checkpoint; return the arguments that name them."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "VERSION: 2\nMODEL:\n  META_ARCHITECTURE: BlobFinder\n  DEVICE: cpu\n"
        "INPUT:\n  MIN_SIZE_TEST: 0\n"
        "DATASETS:\n  TRAIN: ()\n"
    )
    content = {"model": {"threshold": torch.tensor(128.0)}, "class_names": ["zero", "one"]}
    torch.save(content, folder / "model.pth")
    config, weights = str(folder / "config.yaml"), str(folder / "model.pth")
    return ["--config-file", config, "--weights", weights, "--device", "cpu"]


@pytest.fixture(scope="session")
def make_picture():
    """Return a function that makes a dark picture, 60 wide, with bright squares of 10 pixels."""

    def make(blobs=1):
        picture = np.full((40, 60, 3), 20, dtype=np.uint8)
        for index in range(blobs):
            picture[10:20, 5 + 15 * index : 15 + 15 * index] = 200
        return picture

    return make


@pytest.fixture
def photo(tmp_path, make_picture):
    """Return a function that writes a picture and returns its path."""

    def write(name="photos/a.png", blobs=1):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), make_picture(blobs))
        return path

    return write


@pytest.fixture
def video(tmp_path, make_picture):
    """Return a function that writes a video of blobs and returns its path."""

    def write(name="clip.mp4", num_frames=5, blobs=2):
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 8, (60, 40))
        for _ in range(num_frames):
            writer.write(make_picture(blobs))
        writer.release()
        return path

    return write
