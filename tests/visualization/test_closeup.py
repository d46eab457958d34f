"""Close-ups: which part of the image they show, and that only the chosen instances are filled."""

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from solo.evaluation.coco import predicted_rles
from solo.visualization.closeup import box_around, draw_close_up
from solo.visualization.marks import Mark, Marks


def instances(boxes, size=(100, 200), **fields):
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    rles = predicted_rles(Instances(size, pred_masks=masks))
    classes = torch.arange(len(boxes))
    return Instances(size, pred_rles=rles, pred_classes=classes, **fields)


def halves(sheet):
    """The two pictures of 220 pixels, below their titles, with gaps and margins."""
    return sheet[-18 - 220 : -18, 18:238], sheet[-18 - 220 : -18, 252:472]


def has_color(picture):
    return bool((np.ptp(picture.astype(int), axis=2) > 60).any())


def test_truth_and_prediction_are_beside_one_another():
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    truth = instances([(120, 30, 150, 60)])
    found = instances([(122, 32, 150, 60), (10, 10, 20, 20)], scores=torch.tensor([0.9, 0.8]))
    for rows, colored in (((), False), ((0,), True)):
        left, right = halves(
            draw_close_up(image, truth, found, truth_rows=[0], prediction_rows=rows)
        )
        assert has_color(left)
        assert has_color(right) == colored
        # Not chosen: outlined.
        assert right.max() > 200


def test_neither_objects_nor_predictions():
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    sheet = draw_close_up(image, instances([]), instances([], scores=torch.zeros(0)))
    assert sheet.shape[1] == 2 * 220 + 14 + 36


@pytest.mark.parametrize(
    ("shown", "box"),
    [
        # A margin of 0.3 on all sides of the longer one.
        ((100, 30, 140, 50), (88, 8, 152, 72)),
        # Small ones get surroundings; what would leave the image is moved.
        ((0, 0, 2, 2), (0, 0, 48, 48)),
        ((198, 98, 200, 100), (152, 52, 200, 100)),
        # As much as there is.
        ((0, 0, 200, 100), (0, 0, 200, 100)),
        ((0, 0, 0, 0), (0, 0, 200, 100)),
    ],
)
def test_the_part_that_is_shown(shown, box):
    left, top, right, bottom = shown
    pixels = np.zeros((100, 200), dtype=bool)
    pixels[top:bottom, left:right] = True
    rles = predicted_rles(Instances((100, 200), pred_masks=torch.from_numpy(pixels)[None]))
    assert box_around(rles, (100, 200)) == box
    assert box_around([], (100, 200)) == (0, 0, 200, 100)


def test_marks_are_drawn_on_the_chosen_ones():
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    truth = instances([(120, 30, 150, 60)])
    found = instances([(122, 32, 150, 60)], scores=torch.tensor([0.9]))
    plain, marked = (
        draw_close_up(image, truth, found, truth_rows=[0], prediction_rows=[0], marks=marks)
        for marks in (None, Marks([None], [Mark.WRONG_CLASS], [0]))
    )
    assert np.array_equal(halves(plain)[0], halves(marked)[0])
    orange = (halves(marked)[1] == Mark.WRONG_CLASS.value.color).all(axis=2)
    assert orange.sum() > 50
