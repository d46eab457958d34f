"""Crops of instances, and where they are."""

import numpy as np
import torch
from detectron2.structures import Instances

from solo.structures.cutouts import get_cutouts


def found(masks, scores):
    masks = torch.as_tensor(np.asarray(masks, dtype=bool))
    classes = torch.arange(len(masks))
    scores = torch.tensor(scores)
    return Instances(masks.shape[1:], pred_masks=masks, pred_classes=classes, scores=scores)


def square(top, left, side):
    mask = np.zeros((40, 40), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_they_scale_with_the_picture():
    (cutout,) = get_cutouts(found([square(10, 20, 10)], [0.9]), size=(80, 120))
    # Twice as high and three times as wide, to a pixel.
    np.testing.assert_allclose((cutout.top, cutout.left), (20, 60), atol=1)
    np.testing.assert_allclose(cutout.mask.shape, (20, 30), atol=1)


def test_what_is_empty_or_not_sure_is_left_out_and_rows_stay():
    masks = [square(0, 0, 0), square(3, 5, 4), square(0, 0, 9), square(30, 30, 10)]
    cutouts = get_cutouts(found(masks, [0.9, 0.8, 0.1, 0.5]), threshold=0.4)
    assert [cutout.row for cutout in cutouts] == [cutout.category for cutout in cutouts] == [1, 3]
    assert [cutout.box for cutout in cutouts] == [(5, 3, 9, 7), (30, 30, 40, 40)]
