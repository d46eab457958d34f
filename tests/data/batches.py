"""Batches of a config whose items depend on every source of random numbers."""

import random
from itertools import islice

import numpy as np
import torch

from solo.data import build_train_loader
from solo.data.mapper import SOLODatasetMapper


def noisy_mapper(cfg):
    """Every source of random numbers changes the item."""
    plain = SOLODatasetMapper(cfg, True)

    def mapped(record):
        item = plain(record)
        item["noise"] = (random.random(), np.random.rand(), torch.rand(1).item())
        return item

    return mapped


def take(cfg, count, **options):
    options.setdefault("mapper", noisy_mapper(cfg))
    return list(islice(build_train_loader(cfg, **options), count))


def flat(batches):
    return [item for batch in batches for item in batch]


def assert_equal(batches, others):
    assert len(batches) == len(others)
    for item, other in zip(flat(batches), flat(others), strict=True):
        assert item["file_name"] == other["file_name"]
        assert item["noise"] == other["noise"]
        assert torch.equal(item["image"], other["image"])
        assert torch.equal(item["instances"].gt_masks.tensor, other["instances"].gt_masks.tensor)
