import random

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T

from solo.config import get_cfg
from solo.data import build_test_loader, build_train_loader
from solo.data.mapper import SOLODatasetMapper
from tests.data.batches import assert_equal, flat, take


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("grouping", [False, True])
def test_resumed_run_sees_what_an_uninterrupted_one_sees(trainable, workers, grouping):
    trainable.DATALOADER.ASPECT_RATIO_GROUPING = grouping
    whole = take(trainable, 7)
    trainable.DATALOADER.NUM_WORKERS = workers
    random.seed(99)  # another process has another state
    np.random.seed(99)
    torch.manual_seed(99)
    assert_equal(take(trainable, 3, start_iteration=4), whole[4:])


def test_augmentations_differ_from_epoch_to_epoch(trainable):
    items = flat(take(trainable, 5))  # two epochs
    noises = {item["noise"] for item in items}
    assert len(noises) == 20
    sizes = {item["image"].shape for item in items}
    assert len(sizes) > 2


def test_two_workers_see_together_what_one_sees(trainable, monkeypatch):
    alone = take(trainable, 4)
    monkeypatch.setattr("solo.data.loader.comm.get_world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr("solo.data.loader.comm.get_rank", lambda rank=rank: rank)
        shares.append(take(trainable, 4))
    together = [
        [item for pair in zip(*parts, strict=True) for item in pair]
        for parts in zip(*shares, strict=True)
    ]
    assert_equal(together, alone)


def test_main_process_keeps_its_random_numbers(trainable):
    seeds = (random.seed, np.random.seed, torch.manual_seed)
    draws = (random.random, np.random.rand, lambda: torch.rand(1).item())
    for seed in seeds:
        seed(1)
    expected = [draw() for draw in draws]
    for seed in seeds:
        seed(1)
    take(trainable, 2)
    assert [draw() for draw in draws] == expected


def test_error_of_a_worker_process_stays_clear(trainable, records):
    records[0]["width"] = 99
    trainable.DATALOADER.NUM_WORKERS = 1
    with pytest.raises(ValueError, match=r"0\.png"):
        take(trainable, 3, mapper=SOLODatasetMapper(trainable, True))


@pytest.mark.parametrize(("device", "has_gpu"), [("cuda", True), ("cuda", False), ("cpu", True)])
def test_images_are_pinned_where_a_gpu_reads_them(trainable, monkeypatch, device, has_gpu):
    trainable.MODEL.DEVICE = device
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    pins = device == "cuda" and has_gpu
    assert build_train_loader(trainable).pin_memory is pins
    assert build_test_loader(trainable, trainable.DATASETS.TRAIN[0]).pin_memory is pins


def test_test_loader_goes_once_through_the_images(cfg, records, register):
    name = register(records, thing_classes=["a", "b"])
    items = [item for batch in build_test_loader(cfg, name) for item in batch]
    assert [item["image_id"] for item in items] == list(range(10))
    with pytest.raises(ValueError, match="empty"):
        build_test_loader(cfg, register([]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SOLVER.IMS_PER_BATCH": 3}, "IMS_PER_BATCH is 3, which 2 workers"),
        ({"DATALOADER.SAMPLER_TRAIN": "Nonsense"}, "SAMPLER_TRAIN is 'Nonsense'"),
        ({"DATASETS.TRAIN": ()}, "DATASETS.TRAIN is empty"),
    ],
)
def test_config_errors(trainable, monkeypatch, change, message):
    monkeypatch.setattr("solo.data.loader.comm.get_world_size", lambda: 2)
    trainable.merge_from_list([part for pair in change.items() for part in pair])
    with pytest.raises(ValueError, match=message):
        build_train_loader(trainable)


def test_augmentations_of_the_config_are_used(trainable):
    trainable.INPUT.CROP.ENABLED = True
    trainable.INPUT.CROP.TYPE = "absolute"
    trainable.INPUT.CROP.SIZE = [8, 8]
    trainable.INPUT.MIN_SIZE_TRAIN = (8,)
    mapper = SOLODatasetMapper(trainable, True)
    assert isinstance(mapper.augmentations.augs[0], T.RandomCrop)
    for item in flat(take(trainable, 3)):
        assert item["image"].shape == (3, 8, 8)


def test_an_unknown_data_set_is_named():
    cfg = get_cfg()
    cfg.DATASETS.TRAIN = ("digits_tran",)
    with pytest.raises(ValueError, match="no data set 'digits_tran'; did you mean digits_train"):
        build_train_loader(cfg)
    with pytest.raises(ValueError, match="no data set 'coco_2017_vall'"):
        build_test_loader(cfg, "coco_2017_vall")
