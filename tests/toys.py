"""A registered data set of squares on noise, and the config file of a tiny model for it."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog

from tests.conftest import make_cfg

_NUMBERS = itertools.count()


def square(left, top, side, category=0):
    right, bottom = left + side, top + side
    return {
        "bbox": [left, top, right, bottom],
        "bbox_mode": 0,
        "category_id": category,
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
    }


def write_records(folder: Path, images: Sequence[Sequence[dict]]) -> list[dict]:
    """Write 64 x 48 images of noise and return their records."""
    rng = np.random.default_rng(0)
    records = []
    for index, annotations in enumerate(images):
        path = folder / f"{index}.png"
        cv2.imwrite(str(path), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
        records.append(
            {
                "file_name": str(path),
                "image_id": index,
                "height": 48,
                "width": 64,
                "annotations": list(annotations),
            }
        )
    return records


@contextmanager
def registered(records: list[dict]) -> Iterator[str]:
    """Register records under a name of their own."""
    name = f"squares{next(_NUMBERS)}"
    DatasetCatalog.register(name, lambda: records)
    MetadataCatalog.get(name).set(thing_classes=["red", "green", "blue"])
    try:
        yield name
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def toy_cfg(dataset: str) -> CfgNode:
    """A config that trains on 64 x 48 and on 128 x 96 images."""
    cfg = make_cfg()
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (dataset,), ()
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.INPUT.FORMAT = "RGB"
    cfg.INPUT.MIN_SIZE_TRAIN = (48, 96)
    cfg.INPUT.MAX_SIZE_TRAIN = 128
    cfg.SEED = 1
    return cfg


def write_config(cfg: CfgNode, folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text(cfg.dump())
    return path
