"""Colours of objects."""

import numpy as np
import pytest

from solo.inference.appearance import likenesses, looks_of
from solo.structures.cutouts import Cutout


def look(color, around=0):
    picture = np.full((20, 30, 3), around, dtype=np.uint8)
    picture[5:15, 10:20] = color
    mask = np.ones((12, 12), dtype=np.uint8)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    return looks_of(picture, Cutout(mask, 9, 4, row=0, category=0, score=1.0))


def test_equal_colours_are_alike_whatever_is_around():
    red, same, near, blue = (
        look((30, 30, 200)),
        look((30, 30, 200), 90),
        look((33, 33, 205)),
        look((200, 30, 30)),
    )
    ((own, again, next_to, other),) = likenesses([red], [red, same, near, blue])
    assert own == again == pytest.approx(1)
    assert other < 0.4 < 0.8 < next_to < 1
