"""Which colours instances get, and what can be read on them."""

import colorsys

import numpy as np

from solo.structures.cutouts import Cutout
from solo.visualization.palette import PALETTE, contrast, ink_on, spread_colors

SHAPE = (400, 400)


def cutout(row, left, top, side=40):
    return Cutout(np.ones((side, side), np.uint8), left, top, row, 0, None)


def hue(color):
    return colorsys.rgb_to_hsv(*(channel / 255 for channel in color[::-1]))[0]


def test_contrast_is_that_of_wcag():
    assert contrast((255, 255, 255), (0, 0, 0)) == 21
    # Of #767676, which the standard's examples have as the lightest gray with 4.5 on white.
    assert round(contrast((118, 118, 118), (255, 255, 255)), 2) == 4.54


def test_ink_is_readable_on_every_colour():
    assert min(contrast(color, ink_on(color)) for color in PALETTE) > 3


def test_the_first_instances_have_the_first_colours():
    apart = [cutout(row, 100 * (row % 4), 100 * (row // 4)) for row in range(16)]
    assert spread_colors(apart, SHAPE) == {row: row for row in range(16)}
    alike = [cutout(row, 50, 50) for row in range(4)]
    assert spread_colors(alike, SHAPE) == {row: row for row in range(4)}


def test_neighbours_differ_where_the_order_of_the_list_would_have_them_alike():
    # 0 and 11 of the list are both red.
    assert abs(hue(PALETTE[0]) - hue(PALETTE[11]) + 0.5) % 1 - 0.5 < 0.08
    pair = [cutout(0, 50, 50), cutout(11, 85, 50)]
    given = spread_colors(pair, SHAPE)
    first, second = (hue(PALETTE[given[row]]) for row in (0, 11))
    assert abs((first - second + 0.5) % 1 - 0.5) > 0.08
    # Far from one another both keep theirs.
    assert spread_colors([pair[0], cutout(11, 300, 300)], SHAPE) == {0: 0, 11: 11}


def test_numbers_that_are_taken_stay_and_their_neighbours_avoid_them():
    pair = [cutout(0, 50, 50), cutout(1, 60, 60)]
    given = spread_colors(pair, SHAPE, {1: 20})
    assert given[1] == 20 and given[0] != 0


def test_a_crowd_uses_all_colours():
    row = [cutout(index, 10 * index, 0, 12) for index in range(40)]
    given = spread_colors(row, SHAPE)
    assert set(given.values()) == set(range(len(PALETTE)))
    assert all(given[index] != given[index + 1] for index in range(39))
