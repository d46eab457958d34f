"""Objects that move, pass each other and vanish for a while."""

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.structures import Instances

from solo.inference.tracking import MaskIoUTracker
from solo.visualization.draw import PALETTE

SIZE = (60, 120)


def discs(*places, classes=None, radius=8, rle=False):
    """Instances that are discs about (x, y)."""
    masks = np.zeros((len(places), *SIZE), dtype=np.uint8)
    for mask, place in zip(masks, places, strict=True):
        cv2.circle(mask, place, radius, 1, -1)
    found = Instances(SIZE)
    if rle:
        found.pred_rles = [mask_util.encode(np.asfortranarray(mask)) for mask in masks]
    else:
        found.pred_masks = torch.from_numpy(masks.astype(bool))
    found.pred_classes = torch.tensor(classes or [0] * len(places), dtype=torch.int64)
    found.scores = torch.ones(len(places))
    return found


@pytest.mark.parametrize("rle", [False, True])
def test_discs_that_pass_each_other_keep_their_numbers(rle):
    rng = np.random.default_rng(0)
    tracker = MaskIoUTracker()
    for step in range(34):
        places = [(10 + 3 * step, 26), (109 - 3 * step, 36)]  # their masks overlap when they meet
        order = rng.permutation(2)
        numbers = tracker.update(discs(*[places[index] for index in order], rle=rle))
        assert numbers.dtype == np.int64
        if step == 0:
            numbers_of = numbers[np.argsort(order)]
        np.testing.assert_array_equal(numbers, numbers_of[order])


@pytest.mark.parametrize(("missed", "kept"), [(1, True), (2, True), (3, False)])
def test_a_gap_of_at_most_max_gap_frames(missed, kept):
    tracker = MaskIoUTracker(max_gap=2)
    both = tracker.update(discs((20, 30), (80, 30)))
    for _ in range(missed):
        assert tracker.update(discs((80, 30))).tolist() == [both[1]]
    again = tracker.update(discs((21, 30), (80, 30)))
    assert (again[0] == both[0]) == kept
    assert again[1] == both[1]
    assert len(set(again)) == 2


def test_classes_never_share_a_number():
    tracker = MaskIoUTracker()
    first = tracker.update(discs((30, 30), classes=[1]))
    second = tracker.update(discs((30, 30), (30, 30), classes=[2, 1]))
    assert second[1] == first[0] != second[0]


def test_the_best_overlap_wins():
    tracker = MaskIoUTracker()
    (number,) = tracker.update(discs((30, 30)))
    near, nearer = tracker.update(discs((34, 30), (31, 30)))
    assert nearer == number != near


def test_the_threshold():
    # Two discs of radius 20, 10 apart: IoU 0.51.
    for thresh, kept in ((0.45, True), (0.55, False)):
        tracker = MaskIoUTracker(iou_thresh=thresh)
        before = tracker.update(discs((50, 30), radius=20))
        after = tracker.update(discs((60, 30), radius=20))
        assert (before == after).all() == kept


def test_frames_without_instances_and_empty_masks():
    tracker = MaskIoUTracker()
    assert tracker.update(discs()).shape == (0,)
    first = tracker.update(discs((30, 30), (-50, -50)))  # the second lies beyond the picture
    assert tracker.update(discs()).shape == (0,)
    second = tracker.update(discs((-50, -50), (30, 30)))
    assert second[1] == first[0]
    assert len({*first, *second}) == 3


def test_objects_seen_together_have_different_colours():
    tracker = MaskIoUTracker()
    places = [(x, y) for y in (10, 30, 50) for x in (10, 40, 70, 100)]
    steady = tracker.update(discs((10, 10)))[0]
    colors = set()
    for step in range(60):
        # Beside the one that stays, another comes each time.
        numbers = tracker.update(discs((10, 10), places[1 + step % 11]))
        assert numbers[0] == steady
        colors.add(numbers[1] % len(PALETTE))
    assert steady % len(PALETTE) not in colors and len(colors) > 5


def test_more_objects_than_colours():
    numbers = MaskIoUTracker().update(discs(*[(2 + 4 * k, 30) for k in range(29)], radius=1))
    assert len(set(numbers)) == 29


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="iou_thresh"):
        MaskIoUTracker(iou_thresh=0)
    with pytest.raises(ValueError, match="max_gap"):
        MaskIoUTracker(max_gap=-1)
