"""Who takes part in images made of several, who is dropped, and when it ends."""

import logging
import random
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from detectron2.data import transforms as T
from torch.utils.data import DataLoader

from solo.data import build_train_loader
from solo.data.augmentation.build import build_multi_image
from solo.data.augmentation.multi_image import Images, MultiImage
from solo.data.augmentation.sample import Sample
from solo.data.mapper import SOLODatasetMapper
from solo.data.seeded_dataset import SeededDataset
from solo.images import UnreadableImageError
from tests.data.augmentation.conftest import assert_masks_show_their_objects, color_of, paint


class Numbered:
    """A step that reads its own image, as a mosaic does, or adds one to what was there."""

    def __init__(self, value, prob=1.0, *, adds=False):
        self.value, self.prob, self.adds, self.key = value, prob, adds, "INPUT.NUMBERED"

    def __call__(self, first, images):
        before = first().image if self.adds else 0
        return Sample(before * 10 + images.other(images.load).image + self.value, [])


def test_steps_act_in_order_on_what_is_read_when_asked_for():
    read = []

    def load(record):
        read.append(record)
        return Sample(np.zeros((1, 1, 3), int), [])

    def run(*steps):
        read.clear()
        images = Images("own", load, lambda reader: reader("other"))
        sample = MultiImage(steps, end=1)(images)
        return sample.image[0, 0, 0], list(read)

    one, two, off = Numbered(1, adds=True), Numbered(2, adds=True), Numbered(3, prob=0.0)
    assert run() == (0, ["own"])
    assert run(one, off, two) == (12, ["own", "other", "other"])
    assert run(Numbered(4), two) == (42, ["other", "other"])


@pytest.fixture
def busy(cfg, painted, register):
    """Every augmentation that combines images, in most draws."""
    cfg.DATASETS.TRAIN = (register(painted, thing_classes=[str(n) for n in range(12)]),)
    for name in ("MOSAIC", "COPY_PASTE", "MIXUP"):
        cfg.INPUT[name].PROB = 0.7
    cfg.INPUT.COPY_PASTE.SAME_IMAGE_PROB = 0.3
    cfg.INPUT.COLOR_JITTER.PROB = 0.5
    return cfg


def take(cfg, count, **options):
    return list(islice(build_train_loader(cfg, **options), count))


def assert_equal(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        for item, twin in zip(batch, other, strict=True):
            assert item["file_name"] == twin["file_name"]
            assert torch.equal(item["image"], twin["image"])
            assert torch.equal(item["instances"].gt_classes, twin["instances"].gt_classes)
            masks = item["instances"].gt_masks.tensor, twin["instances"].gt_masks.tensor
            assert torch.equal(*masks)


def test_batches_depend_on_seed_and_iteration_only(busy):
    whole = take(busy, 8)
    for workers in (0, 1, 2):
        busy.DATALOADER.NUM_WORKERS = workers
        random.seed(workers)
        np.random.seed(workers)
        torch.manual_seed(workers)
        assert_equal(take(busy, 5, start_iteration=3), whole[3:])
    busy.SEED = 4
    with pytest.raises(AssertionError):
        assert_equal(take(busy, 8), whole)


def test_worker_processes_survive_threads_of_opencv(busy):
    """Threads that a fork does not copy must not be waited for."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(2)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (31, 31), 9)
    loader = build_train_loader(busy)
    loader = DataLoader(
        loader.dataset,
        batch_sampler=loader.batch_sampler,
        num_workers=1,
        collate_fn=list,
        worker_init_fn=loader.worker_init_fn,
        timeout=10,
    )
    try:
        assert len(next(iter(loader))) == 2
    finally:
        cv2.setNumThreads(threads)


def plain(cfg):
    cfg = cfg.clone()
    for name in ("MOSAIC", "COPY_PASTE", "MIXUP"):
        cfg.INPUT[name].PROB = 0.0
    return cfg


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("persistent", [False, True])
def test_last_iterations_go_without(busy, start, persistent):
    busy.SOLVER.MAX_ITER = 8
    busy.INPUT.MULTI_IMAGE_OFF_ITERS = 3
    for name in ("MOSAIC", "COPY_PASTE", "MIXUP"):
        busy.INPUT[name].PROB = 1.0
    loader = build_train_loader(busy, start_iteration=start)
    loader = DataLoader(
        loader.dataset,
        batch_sampler=loader.batch_sampler,
        num_workers=2,
        persistent_workers=persistent,
        collate_fn=list,
    )
    batches = list(islice(loader, 8 - start))
    alone = take(plain(busy), 8 - start, start_iteration=start)
    assert_equal(batches[-3:], alone[-3:])
    for batch, other in zip(batches[:-3], alone[:-3], strict=True):
        for item, twin in zip(batch, other, strict=True):
            assert len(item["instances"]) > len(twin["instances"])


def test_off_for_the_whole_run(busy):
    busy.SOLVER.MAX_ITER = 4
    busy.INPUT.MULTI_IMAGE_OFF_ITERS = 10
    assert_equal(take(busy, 4), take(plain(busy), 4))


def test_unreadable_partner_is_skipped_and_named(busy, painted, caplog):
    Path(painted[5]["file_name"]).write_bytes(b"broken")
    with caplog.at_level(logging.WARNING):
        whole = take(busy, 12)
    assert sum("5.png" in message for message in caplog.messages) == 1
    classes = {
        c for batch in whole for item in batch for c in item["instances"].gt_classes.tolist()
    }
    assert classes == set(range(10))
    assert_equal(take(busy, 6, start_iteration=6), whole[6:])


def test_too_many_unreadable_partners_stop(busy, painted):
    for record in painted[1:4]:
        Path(record["file_name"]).unlink()
    busy.INPUT.MOSAIC.PROB = 1.0
    busy.DATALOADER.MAX_UNREADABLE = 2
    dataset = build_train_loader(busy).dataset
    message = r"^3 images could not be read, the last one .*/[123]\.png.*MAX_UNREADABLE.*is 2"
    with pytest.raises(UnreadableImageError, match=message):
        for position in range(100):
            dataset[position, 0]  # which can be read


def dataset_of(cfg, records, **options):
    mapper = SOLODatasetMapper(cfg, True, **options)
    return SeededDataset(
        records, mapper, seed=0, max_unreadable=0, multi_image=build_multi_image(cfg)
    )


@pytest.mark.parametrize("name", ["MOSAIC", "COPY_PASTE", "MIXUP"])
def test_crowds_take_no_part(cfg, painted, name):
    cfg.INPUT[name].PROB = 1.0
    for record in painted:
        record["annotations"][0]["iscrowd"] = 1
    items = dataset_of(cfg, painted)
    for position in range(6):
        assert all(items[position, position]["instances"].gt_classes % 2 == 1)


def test_objects_that_show_too_little_are_dropped(cfg, tmp_path):
    objects = [
        (0, (0, 0, 20, 40), False, "polygon"),
        (1, (30, 10, 40, 20), False, "rle"),
        (2, (25, 30, 55, 35), False, "pixels"),
    ]
    record = paint(tmp_path / "a.png", (40, 60), objects)
    # Half the size, of which 20 x 15 pixels are left: half of 0 and none of 1, of 2 a sixth.
    augmentations = [T.Resize((20, 30)), T.CropTransform(5, 0, 10, 20)]

    def kept(**keys):
        for key, value in keys.items():
            cfg.INPUT[key] = value
        mapper = SOLODatasetMapper(cfg, True, augmentations=augmentations)
        return mapper(record)["instances"].gt_classes.tolist()

    assert kept() == [0, 2]
    assert kept(MIN_VISIBLE_SHARE=0.1) == [0, 2]
    assert kept(MIN_VISIBLE_SHARE=0.3) == [0]
    assert kept(MIN_VISIBLE_SHARE=0.6) == []
    assert kept(MIN_VISIBLE_SHARE=0.0, MIN_VISIBLE_AREA=50) == [0]


def test_covered_objects_are_measured_against_their_own_image(cfg, tmp_path):
    """What is dropped because of what lies over it."""
    records = [
        paint(tmp_path / "a.png", (40, 40), [(0, (0, 0, 40, 40), False, "polygon")]),
        paint(tmp_path / "b.png", (40, 40), [(1, (0, 0, 40, 40), False, "rle")]),
    ]
    cfg.INPUT.MIN_SIZE_TRAIN = (40,)
    cfg.INPUT.MOSAIC.PROB = 1.0
    cfg.INPUT.MOSAIC.SCALE_RANGE = [1.0, 1.0]
    cfg.INPUT.MOSAIC.CUT_RANGE = [0.75, 0.75]

    def areas():
        item = dataset_of(cfg, records)[0, 0]
        return sorted(item["instances"].gt_masks.tensor.flatten(1).sum(1).tolist())

    assert areas() == [100, 300, 300, 900]
    cfg.INPUT.MIN_VISIBLE_SHARE = 0.15
    assert areas() == [300, 300, 900]
    cfg.INPUT.MIN_VISIBLE_SHARE = 0.5
    assert areas() == [900]


class Marking(T.Augmentation):
    """A user's own: it looks at the objects, and mirrors the image."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def get_transform(self, image, regions):
        self.seen.append([region.category for region in regions])
        return T.HFlipTransform(image.shape[1])


def test_own_augmentations_work_alone_and_in_parts(cfg, painted):
    cfg.INPUT.MOSAIC.PROB = 1.0
    own = Marking()
    rotation = T.RandomRotation([90, 90])
    items = dataset_of(cfg, painted, augmentations=[T.Resize((40, 44)), own, rotation])
    item = items[0, 0]
    assert len(own.seen) == 4 and own.seen[0] == [0, 1]
    assert_masks_show_their_objects(item)
    alone = dataset_of(plain(cfg), painted, augmentations=[T.Resize((40, 44)), own, rotation])
    assert alone[0, 0]["image"].shape == (3, 44, 40)
    assert_masks_show_their_objects(alone[0, 0])


def test_a_mapper_of_another_kind_is_refused(busy):
    with pytest.raises(ValueError, match=r"INPUT\.MOSAIC.*need a SOLODatasetMapper"):
        build_train_loader(busy, mapper=partial(dict))
    build_train_loader(plain(busy), mapper=partial(dict))


def test_a_mosaic_needs_the_size_of_its_first_image(busy, painted):
    busy.INPUT.MOSAIC.PROB = 1.0
    del painted[0]["width"]
    with pytest.raises(ValueError, match=r"0\.png has no 'width', which INPUT\.MOSAIC needs"):
        dataset_of(busy, painted)[0, 0]


def test_color_of_an_object_is_its_own():
    assert len({tuple(color_of(category)) for category in range(12)}) == 12
