"""Where labels stand: they hide neither small objects nor one another, and hold still in videos."""

import numpy as np
import pytest

from solo.structures.cutouts import Cutout
from solo.visualization.labels import Tag, place_labels
from solo.visualization.marks import Mark

SHAPE = (240, 320)


def cutout(left, top, width, height, row=0):
    return Cutout(np.ones((height, width), np.uint8), left, top, row, 0, None)


def place(cutouts, shape=SHAPE, text="elephant 93%", **more):
    tags = [Tag(one, text, (200, 100, 50), number) for number, one in enumerate(cutouts)]
    return place_labels(tags, cutouts, shape, **more)


def hidden(label, one):
    """Return the share of a rectangle that a label hides."""
    common = label.box.shared(one.box)
    area = (common.right - common.left) * (common.bottom - common.top) if common else 0
    return area / one.mask.size


def crowd(number, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 60, (number, 2))
    corners = (rng.random((number, 2)) * (np.array(SHAPE[::-1]) - sizes)).astype(int)
    return [
        cutout(*map(int, (*corner, *size)), row)
        for row, (corner, size) in enumerate(zip(corners, sizes, strict=True))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_no_label_hides_a_small_object_or_another_label(seed):
    cutouts = crowd(30, seed)
    labels = place(cutouts)
    assert len(labels) > 8
    for label in labels:
        assert label.box.left >= 0 and label.box.right <= SHAPE[1]
        assert label.box.top >= 0 and label.box.bottom <= SHAPE[0]
        # A third, as far as the coarse grid can tell.
        assert max(hidden(label, one) for one in cutouts) < 0.4
        assert sum(label.box.shared(other.box) is not None for other in labels) == 1


def test_a_label_stands_away_with_a_line_rather_than_on_small_objects():
    alone = cutout(150, 110, 20, 20)
    (beside,) = place([alone])
    assert beside.leader is None
    ring = [cutout(x, y, 8, 8) for x in range(70, 250, 12) for y in range(85, 155, 12)]
    ring = [one for one in ring if not alone.box.grown(2).shared(one.box)]
    tag = Tag(alone, "elephant 93%", (200, 100, 50), 0)
    (away,) = place_labels([tag], [alone, *ring], SHAPE)
    assert max(hidden(away, one) for one in [alone, *ring]) == 0
    (x, y), (label_x, label_y) = away.leader
    assert alone.box.grown(1).shared(alone.box._replace(left=x, top=y, right=x + 1, bottom=y + 1))
    assert away.box.left <= label_x < away.box.right and away.box.top <= label_y < away.box.bottom


def test_what_would_hide_others_is_left_out():
    small = [cutout(x, y, 6, 6) for x in range(0, 320, 10) for y in range(0, 240, 10)]
    tag = Tag(small[300], "elephant 93%", (200, 100, 50), 0)
    assert place_labels([tag], small, SHAPE) == []


def test_a_label_lies_on_an_object_that_fills_the_picture():
    (label,) = place([cutout(0, 0, 320, 240)])
    assert label.leader is None and hidden(label, label.tag.cutout) < 0.1


@pytest.mark.parametrize(("shape", "size"), [((60, 80), 11), ((720, 1280), 16), ((2160, 3840), 40)])
def test_letters_grow_with_the_picture(shape, size):
    (label,) = place([cutout(5, 30, 20, 20)], shape, "cat 9%")
    assert label.font_size == size


def test_letters_shrink_in_a_crowd():
    few = place([cutout(5, 30, 20, 20)], (1080, 1920))
    many = place([cutout(9 * x, 500, 8, 8) for x in range(200)], (1080, 1920))
    assert max(label.font_size for label in many) < few[0].font_size


def test_labels_hold_still_in_a_video():
    """An object that drifts over the place that was the best a frame ago does not move the label."""
    kept = cutout(140, 110, 40, 30)
    places, offsets, free = {}, [], []
    for step in range(8):
        # It comes closer from above and hides little, but something, of the place above.
        other = cutout(100, 2 * step, 120, 90)
        tags = [Tag(kept, "elephant 93%", (200, 100, 50), 7)]
        (label,) = place_labels(tags, [kept, other], SHAPE, places=places)
        offsets.append((label.box.left, label.box.top))
        free.append(place_labels(tags, [kept, other], SHAPE)[0].box[:2])
    assert len(set(offsets)) == 1 and len(set(free)) > 1


def test_a_mark_makes_room_for_its_sign():
    one = cutout(150, 110, 20, 20)
    plain, marked = (
        place_labels([Tag(one, "cat", (9, 9, 9), 0, mark)], [one], SHAPE)[0].box
        for mark in (None, Mark.FOUND)
    )
    height = plain.bottom - plain.top
    assert marked.right - marked.left == plain.right - plain.left + height
