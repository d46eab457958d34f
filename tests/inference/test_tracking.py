"""Objects that move, pass each other and vanish for a while."""

import functools

import cv2
import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.structures import Instances

from solo.inference.tracking import MaskIoUTracker, Tracker
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
    with pytest.raises(ValueError, match="min_hits"):
        Tracker(min_hits=0)


@functools.cache
def ground():
    noise = np.random.default_rng(3).integers(0, 255, (140, 200, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def scene(*places, colors=None, camera=(0, 0)):
    """A picture of discs about (x, y) before a texture, moved by the camera."""
    left, top = 40 - camera[0], 40 - camera[1]
    picture = ground()[top : top + SIZE[0], left : left + SIZE[1]].copy()
    for place, color in zip(places, colors or [(40, 40, 220)] * len(places), strict=True):
        cv2.circle(picture, place, 8, color, -1)
    return picture


def test_objects_of_one_class_that_cross_keep_their_numbers():
    # The second is hidden by the first, wholly or to a sliver in three frames; both go on as they moved.
    tracker = Tracker()
    for step in range(25):
        both = discs((12 + 4 * step, 30), (108 - 4 * step, 30))
        both.pred_masks[1] &= ~both.pred_masks[0]
        seen = 1 if 11 <= step <= 13 else 2
        assert tracker.update(both[:seen]).tolist() == [0, 1][:seen], step


@pytest.mark.parametrize(("missed", "kept"), [(20, True), (25, True), (26, False)])
def test_a_gap_of_a_second_while_it_moves(missed, kept):
    tracker = Tracker()
    for step in range(8):
        (number,) = tracker.update(discs((15 + 2 * step, 30)))
    for _ in range(missed):
        assert tracker.update(discs()).shape == (0,)
    # It moved three times its size, and is half of what it was.
    place = 15 + 2 * (7 + missed + 1)
    again = discs((place, 30))
    again.pred_masks[:, 31:] = False
    assert (tracker.update(again)[0] == number) == kept


def test_colours_tell_who_comes_back():
    red, green = (40, 40, 220), (60, 200, 40)
    tracker = Tracker()
    for _ in range(4):
        places = (40, 30), (64, 30)
        numbers = tracker.update(discs(*places), scene(*places, colors=[red, green]))
    for _ in range(10):
        tracker.update(discs(), scene())
    # Each is nearer to where the other was.
    places = (62, 30), (42, 30)
    again = tracker.update(discs(*places), scene(*places, colors=[red, green]))
    np.testing.assert_array_equal(again, numbers)
    for _ in range(10):
        tracker.update(discs(), scene())
    (other,) = tracker.update(discs((62, 30)), scene((62, 30), colors=[(220, 90, 60)]))
    assert other not in numbers


def test_a_camera_that_shakes():
    # Small discs jump by more than their size, all alike.
    tracker = Tracker()
    for camera in [(0, 0), (9, -6), (-2, 3), (9, -3), (-3, 3)]:
        places = [(30 + 30 * k + camera[0], 30 + camera[1]) for k in range(3)]
        found = discs(*places, radius=5)
        numbers = tracker.update(found, scene(*places, camera=camera))
        assert numbers.tolist() == [0, 1, 2]


def test_the_name_of_a_class_flickers():
    tracker = Tracker()
    names = [tracker.update(discs((30, 30), classes=[label])) for label in (1, 1, 2, 1, 2, 1)]
    assert np.unique(names).tolist() == [0]
    # After a gap it is another object.
    tracker.update(discs())
    assert tracker.update(discs((30, 30), classes=[2])).tolist() == [1]


def test_low_scores_go_on_but_begin_nothing():
    tracker = Tracker(score_thresh=0.5)

    def update(scores):
        found = discs((20, 30), (80, 30))
        found.scores = torch.tensor(scores)
        return tracker.update(found).tolist()

    assert update([0.9, 0.4]) == [0, -1]
    assert update([0.2, 0.4]) == [0, -1]
    assert update([0.2, 0.6]) == [0, 1]
    assert update([0.6, 0.2]) == [0, 1]


def test_what_one_frame_shows_is_no_object_yet():
    tracker = Tracker(min_hits=2)
    assert tracker.update(discs((20, 30))).tolist() == [0]  # the first frame is believed
    assert tracker.update(discs((20, 30), (80, 30))).tolist() == [0, -1]
    assert tracker.update(discs((20, 30))).tolist() == [0]
    assert tracker.update(discs((20, 30), (80, 30))).tolist() == [0, -1]
    assert tracker.update(discs((20, 30), (80, 30))).tolist() == [0, 1]


def test_numbers_are_never_used_again_and_always_the_same():
    def numbers_of_a_video():
        rng, tracker = np.random.default_rng(1), Tracker(max_gap=2)
        for _ in range(30):
            count = rng.integers(0, 5)
            places = np.column_stack([rng.integers(0, 120, count), rng.integers(0, 60, count)])
            found = discs(*[tuple(place) for place in places.tolist()])
            yield tracker.update(found, scene(*places.tolist())).tolist()

    first, again = list(numbers_of_a_video()), list(numbers_of_a_video())
    assert first == again
    last_seen = {}
    highest = -1
    for frame, numbers in enumerate(first):
        assert len(set(numbers)) == len(numbers)
        for number in numbers:
            # A number is new, and higher than all before, or of an object seen three frames ago at most.
            assert number > highest or frame - last_seen[number] <= 3
            last_seen[number] = frame
        highest = max([highest, *numbers])


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(30, 40\).*\(60, 120\)"):
        Tracker().update(discs((20, 30)), np.zeros((30, 40, 3), dtype=np.uint8))
