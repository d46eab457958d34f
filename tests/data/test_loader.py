import logging
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import transforms as T

from solo.config import get_cfg
from solo.data import build_test_loader, build_train_loader
from solo.data.mapper import SOLODatasetMapper, UnreadableImageError
from solo.data.seeding import seeded_by


@pytest.fixture
def trainable(cfg, records, register):
    cfg.DATASETS.TRAIN = (register(records, thing_classes=["a", "b"]),)
    return cfg


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


def test_seeded_by_puts_states_back_after_an_error():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    with pytest.raises(KeyError), seeded_by(1, 2):
        raise KeyError
    assert random.random() == expected


def test_unreadable_image_is_skipped_and_named(trainable, records, caplog):
    Path(records[4]["file_name"]).write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        whole = take(trainable, 6)
    names = [item["file_name"] for batch in whole for item in batch]
    assert len(names) == 24
    assert records[4]["file_name"] not in names
    assert sum("4.png" in message for message in caplog.messages) == 1
    assert_equal(take(trainable, 3, start_iteration=3), whole[3:])


def test_too_many_unreadable_images_stop(trainable, records):
    trainable.DATALOADER.MAX_UNREADABLE = 2
    for record in records[:3]:
        Path(record["file_name"]).unlink()
    with pytest.raises(UnreadableImageError, match=r"3 images.*MAX_UNREADABLE.*is 2"):
        take(trainable, 10)


def test_processes_of_a_loader_count_together(trainable):
    """Each of two processes meets one such image: in its own batch of the first two."""
    first, second = take(trainable, 2)
    for batch in (first, second):
        Path(batch[0]["file_name"]).unlink()
    trainable.DATALOADER.MAX_UNREADABLE = 1
    trainable.DATALOADER.NUM_WORKERS = 2
    with pytest.raises(UnreadableImageError, match=r"2 images.*MAX_UNREADABLE.*is 1"):
        take(trainable, 2)


def test_no_readable_image_stops(trainable, records):
    trainable.DATALOADER.MAX_UNREADABLE = 1000
    for record in records:
        Path(record["file_name"]).unlink()
    with pytest.raises(UnreadableImageError, match="10 images"):
        take(trainable, 1)


def test_error_of_a_worker_process_stays_clear(trainable, records):
    records[0]["width"] = 99
    trainable.DATALOADER.NUM_WORKERS = 1
    with pytest.raises(ValueError, match=r"0\.png"):
        take(trainable, 3, mapper=SOLODatasetMapper(trainable, True))


def test_images_without_objects(trainable, records):
    for record in records[:6]:
        record["annotations"] = []
    kept = {item["image_id"] for batch in take(trainable, 3) for item in batch}
    assert kept == {6, 7, 8, 9}
    trainable.DATALOADER.FILTER_EMPTY_ANNOTATIONS = False
    items = flat(take(trainable, 5))
    assert {item["image_id"] for item in items} == set(range(10))
    assert {len(item["instances"]) for item in items} == {0, 1}


def test_rare_classes_are_repeated(trainable, records):
    for record in records:
        record["annotations"][0]["category_id"] = int(record["image_id"] == 7)
    trainable.DATALOADER.SAMPLER_TRAIN = "RepeatFactorTrainingSampler"
    trainable.DATALOADER.REPEAT_THRESHOLD = 0.9  # factor sqrt(.9 / .1) = 3
    ids = [item["image_id"] for batch in take(trainable, 6) for item in batch]
    assert sorted(ids[:12]) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8, 9]


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


def test_data_without_masks_or_images_is_refused(cfg, records, register):
    cfg.DATASETS.TRAIN = (register([], thing_classes=["a"]),)
    with pytest.raises(ValueError, match="empty"):
        build_train_loader(cfg)
    del records[3]["annotations"][0]["segmentation"]
    cfg.DATASETS.TRAIN = (register(records, thing_classes=["a", "b"]),)
    with pytest.raises(ValueError, match=r"1 of 10 annotations.*3\.png"):
        build_train_loader(cfg)
    for record in records:
        record["annotations"][0].pop("segmentation", None)
    with pytest.raises(ValueError, match="boxes only"):
        build_train_loader(cfg)
    for record in records:
        record["annotations"] = []
    with pytest.raises(ValueError, match="cannot be trained on"):
        build_train_loader(cfg)


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
