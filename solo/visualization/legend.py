"""What signs and colours of a picture mean: small samples with words, in lines below or above it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from solo.structures.box import Box
from solo.structures.cutouts import Cutout
from solo.visualization.draw import draw_masks
from solo.visualization.labels import Label, Tag, draw_label, label_size
from solo.visualization.marks import Mark
from solo.visualization.text import put_text, text_coverage

_TEXT_SIZE = 14
_INK = (60, 60, 60)
_GROUND = (214, 214, 214)
_SWATCH = (24, 46)  # height and width
_GAP, _BETWEEN = 8, 26
# Of a sample's instance.
_COLOR = (140, 110, 40)


class LegendItem(NamedTuple):
    """A sample and what it means."""

    swatch: np.ndarray | None  # (h, w, 3) uint8, BGR
    text: str


def draw_legend(items: Sequence[LegendItem], width: int) -> np.ndarray:
    """Lay samples with their words out in as many lines as the width asks for.

    Args:
        items: In their order; a text that is longer than the width is cut off.
        width: In pixels.

    Returns:
        (H, width, 3) uint8, BGR; white where there is nothing.
    """
    line_height = max(_SWATCH[0], text_coverage("", _TEXT_SIZE).shape[0]) + 6
    places, left, top = [], 0, 0
    for item in items:
        item_width = _item_width(item)
        if left and left + item_width > width:
            left, top = 0, top + line_height
        places.append((left, top))
        left += item_width + _BETWEEN
    canvas = np.full((top + line_height if items else 0, width, 3), 255, dtype=np.uint8)
    for item, (left, top) in zip(items, places, strict=True):
        if item.swatch is not None:
            height, swatch_width = item.swatch.shape[:2]
            swatch = item.swatch[:, : width - left]
            canvas[top : top + height, left : left + swatch_width] = swatch
            left += swatch_width + _GAP
        text_top = top + (line_height - 6 - text_coverage("", _TEXT_SIZE).shape[0]) // 2
        put_text(canvas, item.text, left, text_top, size=_TEXT_SIZE, color=_INK)
    return canvas


def _item_width(item: LegendItem) -> int:
    swatch = 0 if item.swatch is None else item.swatch.shape[1] + _GAP
    return swatch + text_coverage(item.text, _TEXT_SIZE).shape[1]


def mark_swatch(mark: Mark) -> np.ndarray:
    """Return a sample of an instance with a mark, (h, w, 3) uint8, BGR."""
    height, width = _SWATCH
    sign = label_size("", _TEXT_SIZE - 2)[1]
    canvas = np.full((height, sign + 4 + width, 3), 255, dtype=np.uint8)
    canvas[:, sign + 4 :] = _GROUND
    shape = np.ones((height - 6, width - 6), dtype=np.uint8)
    tag = Tag(Cutout(shape, sign + 7, 3, 0, 0, None), "", _COLOR, 0, mark)
    draw_masks(canvas, [tag], 0.45, 2)
    top = (height - sign) // 2
    plate = Box(0, top, label_size("", _TEXT_SIZE - 2, mark)[0], top + sign)
    drawn = canvas.copy()
    draw_label(drawn, Label(tag, plate, _TEXT_SIZE - 2, None))
    canvas[:, :sign] = drawn[:, :sign]
    return canvas
