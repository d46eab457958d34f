"""Images to compare models on: those that are given, else held-out ones, else made-up ones."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.errors import told_as
from solo.images import read_picture

COUNT = 8
# Height and width of made-up images.
_SIZE = (480, 640)


def images_to_compare(cfg: CfgNode, paths: Sequence[str | Path] = ()) -> list[np.ndarray]:
    """Return (H, W, 3) uint8 BGR images.

    Args:
        cfg: The config; the first data set of DATASETS.TEST whose files are here is taken.
        paths: The images to take instead.

    Raises:
        UserError: If an image cannot be read.
    """
    paths = list(paths) or _held_out(cfg)
    if not paths:
        return [_synthetic(seed) for seed in range(COUNT)]
    return [read_picture(path) for path in paths]


def _held_out(cfg: CfgNode) -> list[str]:
    for name in cfg.DATASETS.TEST:
        annotations = MetadataCatalog.get(name).get("json_file") if name in DatasetCatalog else None
        # Looked at before: some data sets are made, or downloaded, when they are asked for.
        if annotations and Path(annotations).is_file():
            with told_as(f"the data set {name} cannot be loaded"):
                files = [record["file_name"] for record in DatasetCatalog.get(name)]
            return files[:: max(len(files) // COUNT, 1)][:COUNT]
    return []


def _synthetic(seed: int) -> np.ndarray:
    """Paint ellipses on a soft background."""
    rng = np.random.default_rng(seed)
    height, width = _SIZE
    image = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (width, height))
    for _ in range(8):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(axis) for axis in rng.integers(15, 120, 2))
        color = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.ellipse(image, center, axes, float(rng.uniform(0, 180)), 0, 360, color, -1)
    return image
