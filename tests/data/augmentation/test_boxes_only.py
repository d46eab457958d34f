"""Boxes without masks move as the masks of the same rectangles do, through every augmentation."""

import itertools

import pytest
import torch

from solo.data import build_train_loader
from tests.box_finder import box_cfg
from tests.conftest import make_cfg
from tests.toys import registered, square, write_records

STEPS = {
    "none": [],
    "crop": ["INPUT.CROP.ENABLED", True],
    "jitter": ["INPUT.JITTER.ENABLED", True, "INPUT.JITTER.IMAGE_SIZE", [64, 64]],
    "mosaic": ["INPUT.MOSAIC.PROB", 1.0],
    "mixup": ["INPUT.MIXUP.PROB", 1.0],
    "copy-paste": ["INPUT.COPY_PASTE.PROB", 1.0],
}


def batches(cfg, name, step):
    cfg.merge_from_list(STEPS[step])
    cfg.DATASETS.TRAIN, cfg.SEED = (name,), 3
    cfg.DATALOADER.NUM_WORKERS, cfg.SOLVER.IMS_PER_BATCH = 0, 4
    # What is pasted has whole pixels, and so has what the images have in common.
    cfg.INPUT.MIN_SIZE_TRAIN = (48,) if step == "copy-paste" else (44, 60)
    cfg.INPUT.MAX_SIZE_TRAIN = 100
    # What shows little is left out: of that, the fractions of a pixel decide.
    cfg.INPUT.MIN_VISIBLE_SHARE = 0.3
    return itertools.islice(build_train_loader(cfg), 3)


@pytest.mark.parametrize("step", STEPS)
def test_boxes_are_the_bounds_of_the_masks_but_for_rounding(tmp_path, step):
    images = [[square(4, 4, 18), square(30, 9, 21, 1)], [square(8, 12, 26, 2)], [square(3, 5, 9)]]
    with registered(write_records(tmp_path, images)) as name:
        pairs = zip(batches(make_cfg(), name, step), batches(box_cfg(), name, step), strict=True)
        seen = 0
        for masked, boxed in (
            (m, b) for some, others in pairs for m, b in zip(some, others, strict=True)
        ):
            assert torch.equal(masked["image"], boxed["image"])
            masks, boxes = masked["instances"], boxed["instances"]
            assert not boxes.has("gt_masks")
            assert torch.equal(masks.gt_classes, boxes.gt_classes)
            apart = (masks.gt_boxes.tensor - boxes.gt_boxes.tensor).abs()
            assert not len(apart) or apart.max() <= 1
            seen += len(boxes)
        assert seen > 8
