"""Random images, objects and formats through random combinations of augmentations."""

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solo.data.augmentation.build import build_multi_image
from solo.data.mapper import SOLODatasetMapper
from solo.data.seeded_dataset import SeededDataset
from tests.data.augmentation.conftest import (
    assert_consistent,
    assert_masks_show_their_objects,
    paint,
)

FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def scenes(draw):
    """Sizes and objects of four images: each object has a quarter of its image for itself."""
    images = []
    for number in range(4):
        height, width = draw(st.integers(32, 56)), draw(st.integers(32, 56))
        objects = []
        for slot in draw(st.sets(st.integers(0, 2))):
            room_w, room_h = width // 2, height // 2
            left, top = slot % 2 * room_w, slot // 2 * room_h
            w, h = draw(st.integers(7, room_w - 3)), draw(st.integers(7, room_h - 3))
            x, y = draw(st.integers(1, room_w - w - 1)), draw(st.integers(1, room_h - h - 1))
            objects.append(
                (
                    3 * number + slot,
                    (left + x, top + y, left + x + w, top + y + h),
                    draw(st.booleans()),
                    draw(st.sampled_from(["polygon", "rle", "pixels"])),
                )
            )
        images.append(((height, width), objects))
    return images


@contextlib.contextmanager
def dataset(cfg, images):
    with tempfile.TemporaryDirectory() as folder:
        records = [
            paint(Path(folder) / f"{number}.png", size, objects, number=number)
            for number, (size, objects) in enumerate(images)
        ]
        mapper = SOLODatasetMapper(cfg, True)
        multi_image = build_multi_image(cfg)
        yield SeededDataset(records, mapper, seed=1, max_unreadable=0, multi_image=multi_image)


ALONE = {
    "shortest edge": {},
    "range": {"MIN_SIZE_TRAIN": (30, 60), "MIN_SIZE_TRAIN_SAMPLING": "range"},
    "jitter": {"JITTER.ENABLED": True},
    "vertical": {"VERTICAL_FLIP_PROB": 0.5},
    "crop": {"CROP.ENABLED": True, "CROP.SIZE": [0.5, 0.6], "CROP.MIN_KEPT_SHARE": 0.6},
    "affine": {"AFFINE.PROB": 1.0, "AFFINE.DEGREES": 40.0, "AFFINE.SHEAR": 10.0},
    "mosaic": {"MOSAIC.PROB": 1.0},
    "copy-paste": {"COPY_PASTE.PROB": 1.0},
    "copy-paste, same image": {"COPY_PASTE.PROB": 1.0, "COPY_PASTE.SAME_IMAGE_PROB": 1.0},
    "mixup": {"MIXUP.PROB": 1.0},
}


def configure(cfg, keys):
    cfg = cfg.clone()
    cfg.INPUT.JITTER.IMAGE_SIZE = [44, 60]
    cfg.INPUT.JITTER.SCALE_RANGE = [0.4, 1.6]
    cfg.merge_from_list([part for key, value in keys.items() for part in (f"INPUT.{key}", value)])
    return cfg


def check(cfg, images, position):
    with dataset(cfg, images) as items:
        item = items[position, position % 4]
    assert_consistent(item)
    mixed = cfg.INPUT.MIXUP.PROB > 0
    assert_masks_show_their_objects(item, cfg.INPUT.FORMAT, mixed=mixed)
    height, width = item["image"].shape[1:]
    if cfg.INPUT.JITTER.ENABLED:
        assert (height, width) == (44, 60)
    elif not cfg.INPUT.CROP.ENABLED:
        shortest, sampling = cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TRAIN_SAMPLING
        edge = min(height, width)
        assert min(shortest) <= edge <= max(shortest) if sampling == "range" else edge in shortest


@pytest.mark.parametrize("name", ALONE)
@FEW
@given(images=scenes(), position=st.integers(0, 199))
def test_masks_follow_the_pixels(cfg, name, images, position):
    check(configure(cfg, ALONE[name]), images, position)


@settings(FEW, max_examples=150)
@given(
    images=scenes(),
    position=st.integers(0, 199),
    names=st.sets(st.sampled_from(sorted(ALONE)), min_size=2),
    image_format=st.sampled_from(["RGB", "BGR"]),
)
def test_masks_follow_the_pixels_in_any_combination(cfg, images, position, names, image_format):
    keys = {key: value for name in sorted(names) for key, value in ALONE[name].items()}
    cfg = configure(cfg, keys)
    cfg.INPUT.FORMAT = image_format
    check(cfg, images, position)


@pytest.mark.parametrize("name", ALONE)
def test_images_without_objects_work_everywhere(cfg, name):
    with dataset(configure(cfg, ALONE[name]), [((40, 33), []), ((30, 50), [])]) as items:
        for position in range(4):
            item = items[position, position % 2]
            assert_consistent(item)
            assert len(item["instances"]) == 0


def test_all_objects_of_the_parts_are_found(cfg):
    """Nothing above would notice if instances were dropped whose pixels are, too."""
    objects = [(0, (4, 4, 28, 28), True, "polygon")]
    cfg = configure(cfg, {**ALONE["jitter"], **ALONE["mosaic"], **ALONE["mixup"]})
    cfg.INPUT.MOSAIC.SCALE_RANGE = [0.5, 0.5]
    cfg.INPUT.MOSAIC.CUT_RANGE = [0.5, 0.5]
    cfg.INPUT.JITTER.SCALE_RANGE = [1.0, 1.0]
    with dataset(cfg, [((32, 44), objects)]) as items:
        item = items[0, 0]
    # Four quarters that show all of their image, and one over them.
    assert len(item["instances"]) == 5
    areas = np.sort(item["instances"].gt_masks.tensor.flatten(1).sum(1).numpy())
    assert areas[4] == pytest.approx(4 * areas[:4].mean(), rel=0.1)
