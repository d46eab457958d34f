"""A data set of a few images on disk, registered with detectron2."""

import itertools

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.config import get_cfg

_NUMBERS = itertools.count()


@pytest.fixture
def register():
    """Register records under a name that no other test has, until the test ends."""
    names = []

    def add(records, **metadata):
        name = f"toys{next(_NUMBERS)}"
        DatasetCatalog.register(name, lambda: records)
        MetadataCatalog.get(name).set(**metadata)
        names.append(name)
        return name

    yield add
    for name in names:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


@pytest.fixture
def records(tmp_path):
    """Ten images of noise, upright and lying, with one rectangle each."""
    rng = np.random.default_rng(0)
    result = []
    for index in range(10):
        height, width = (24, 16) if index % 3 else (16, 24)
        path = tmp_path / f"{index}.png"
        cv2.imwrite(str(path), rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        result.append(
            {
                "file_name": str(path),
                "image_id": index,
                "height": height,
                "width": width,
                "annotations": [
                    {
                        "bbox": [2, 3, 10, 12],
                        "bbox_mode": 0,
                        "category_id": index % 2,
                        "segmentation": [[2, 3, 10, 3, 10, 12, 2, 12]],
                    }
                ],
            }
        )
    return result


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.SEED = 3
    cfg.SOLVER.IMS_PER_BATCH = 4
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.INPUT.MIN_SIZE_TRAIN = (16, 24, 32)
    cfg.INPUT.MAX_SIZE_TRAIN = 64
    return cfg


@pytest.fixture
def trainable(cfg, records, register):
    cfg.DATASETS.TRAIN = (register(records, thing_classes=["a", "b"]),)
    return cfg
