"""What became of predictions and objects where the truth is known, by sign and line, not by colour alone."""

from enum import Enum
from typing import NamedTuple

from solo.visualization.palette import Color


class Look(NamedTuple):
    """How a mark is drawn."""

    sign: str  # in the label
    color: Color  # of the sign's ground
    dashed: bool  # the outline
    hatched: bool  # the filling
    meaning: str


class Mark(Enum):
    """What became of a prediction or of an object; None of these: nothing is known."""

    FOUND = Look(
        "✓", (72, 140, 22), False, False, "found: the right class, mask IoU of 0.5 or more"
    )
    WRONG_CLASS = Look("≠", (0, 104, 214), True, False, "another class")
    WRONG_MASK = Look("~", (170, 60, 130), True, False, "the right class, mask IoU under 0.5")
    NO_OBJECT = Look("✗", (40, 30, 196), True, True, "no object there, or found already")
    MISSED = Look("!", (40, 30, 196), True, True, "missed")
