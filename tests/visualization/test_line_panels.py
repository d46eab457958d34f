"""A panel of curves: what is marked, and what stands at its axes."""

import math

from solo.visualization.line_panels import draw_panel, mark_best
from solo.visualization.plots import new_panels


def panel():
    return new_panels(1)[1][0]


def test_the_first_of_the_highest_points_is_the_best():
    axes = panel()
    points = [(10, 3.0), (20, math.nan), (30, 7.0), (40, 7.0), (50, 5.0)]
    assert mark_best(axes, points) == (30, 7.0)
    (star,) = axes.lines
    assert star.get_xydata().tolist() == [[30, 7]] and star.get_marker() == "*"
    assert mark_best(axes, [(20, math.nan)]) is None


def test_units_and_epochs():
    axes = panel()
    draw_panel(axes, "AP", {"mask": [(0, 1.0), (1500, 2.0)]}, ["red"], unit="percent", epoch=500)
    assert axes.get_title(loc="left") == "AP, percent" and "epoch" in axes.get_xlabel()
    assert axes.xaxis.get_major_formatter()(1250) == "1,250\n2.5"


def test_epochs_that_are_not_known():
    axes = panel()
    draw_panel(axes, "AP", {}, [])
    assert axes.get_xlabel() == "iteration" and axes.texts[0].get_text() == "no AP yet"
