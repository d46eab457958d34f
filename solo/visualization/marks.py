"""What became of predictions and objects where the truth is known, by sign and line, not by colour alone."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from solo.structures.cutouts import Cutout
from solo.visualization.palette import Color, spread_colors


class Look(NamedTuple):
    """How a mark is drawn."""

    sign: str  # in the label
    color: Color  # of the sign's ground
    dashed: bool  # the outline
    hatched: bool  # the filling
    meaning: str  # in the legend, after how many of them there are


class Mark(Enum):
    """What became of a prediction or of an object; None of these: nothing is known."""

    FOUND = Look("✓", (72, 140, 22), False, False, "found")
    WRONG_CLASS = Look("≠", (0, 104, 214), True, False, "found as another class")
    WRONG_MASK = Look("~", (170, 60, 130), True, False, "with a mask too far off")
    NO_OBJECT = Look("✗", (40, 30, 196), True, True, "where nothing is, or nothing more")
    MISSED = Look("!", (40, 30, 196), True, True, "missed")


class Marks(NamedTuple):
    """The marks of one image."""

    truth: Sequence[Mark | None]  # of each object
    prediction: Sequence[Mark | None]
    # The object that each prediction found, or is about; -1 for none. They are drawn in one colour.
    matches: Sequence[int]


class Side(NamedTuple):
    """The colours and the marks of the rows of truth or of prediction, as `draw_cutouts` takes them."""

    colors: str | Mapping[int, int]
    marks: Mapping[int, Mark] | None


def look_of_sides(
    truth: Sequence[Cutout],
    prediction: Sequence[Cutout],
    marks: Marks | None,
    shape: Sequence[int],
) -> tuple[Side, Side]:
    """Give objects, and predictions that are about them, a colour in common, and each its mark.

    Args:
        truth: The objects of a picture.
        prediction: The predictions on it.
        marks: None: nothing is known, and a class has a colour.
        shape: Height and width of the picture.
    """
    if marks is None:
        return Side("class", None), Side("class", None)
    objects = spread_colors(truth, shape)
    # No prediction has the colour of an object that it is not about: these are no rows of predictions.
    taken = {-1 - row: color for row, color in objects.items()}
    shared: set[int] = set()
    # Of several predictions about an object, the one that found it.
    for cutout in sorted(prediction, key=lambda one: marks.prediction[one.row] is not Mark.FOUND):
        about = marks.matches[cutout.row]
        if about in objects and about not in shared:
            taken[cutout.row] = objects[about]
            shared.add(about)
    predictions = spread_colors(prediction, shape, taken)
    return Side(objects, _by_row(marks.truth)), Side(predictions, _by_row(marks.prediction))


def _by_row(marks: Sequence[Mark | None]) -> dict[int, Mark]:
    return {row: mark for row, mark in enumerate(marks) if mark}
