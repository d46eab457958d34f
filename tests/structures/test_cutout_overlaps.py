"""Overlaps of crops beside overlaps of whole masks."""

import numpy as np
import torch
from detectron2.structures import Instances

from solo.structures.cutout_overlaps import boxes_of_cutouts, mask_ious
from solo.structures.cutouts import get_cutouts


def cutouts_of(masks):
    found = Instances(masks.shape[1:])
    found.pred_masks = torch.from_numpy(masks)
    found.pred_classes = torch.zeros(len(masks), dtype=torch.int64)
    return get_cutouts(found)


def test_ious_are_those_of_whole_masks():
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 40, 60), dtype=bool)
    for mask in masks:
        top, left = rng.integers(0, 30, 2)
        mask[top : top + 12, left : left + 20] = (
            rng.random(mask[top : top + 12, left : left + 20].shape) < 0.7
        )
    ious = mask_ious(cutouts_of(masks[:5]), cutouts_of(masks[5:]))
    both = (masks[:5, None] & masks[5:]).sum(axis=(2, 3))
    either = (masks[:5, None] | masks[5:]).sum(axis=(2, 3))
    np.testing.assert_array_equal(ious, both / either)
    assert (ious > 0).any() and (ious == 0).any()


def test_nothing_overlaps_nothing():
    some = cutouts_of(np.ones((2, 4, 6), dtype=bool))
    assert mask_ious(some, []).shape == (2, 0) and mask_ious([], some).shape == (0, 2)
    assert boxes_of_cutouts([]).shape == (0, 4)
    assert boxes_of_cutouts(some).tolist() == [[0, 0, 6, 4]] * 2
