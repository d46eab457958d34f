"""Pictures with captions, laid out in rows and columns on one sheet.

H, W: size of a picture or of the sheet in pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from solo.visualization.text import put_text, text_coverage

_GAP = 14
_MARGIN = 18
_CAPTION_SIZE = 13
_INK = (40, 40, 40)
_FAINT = (110, 110, 110)


class Panel(NamedTuple):
    """A picture and the lines above it, the first of which is bold."""

    picture: np.ndarray  # (H, W, 3) uint8, BGR
    captions: Sequence[str] = ()


def gallery(panels: Sequence[Panel], columns: int) -> np.ndarray:
    """Lay panels out row by row.

    Args:
        panels: At least one. Captions that are wider than their column are cut short.
        columns: Panels side by side.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        ValueError: There are no panels.
    """
    if not panels:
        raise ValueError("A sheet needs at least one picture; none was given.")
    columns = min(columns, len(panels))
    width = max(panel.picture.shape[1] for panel in panels)
    cells = [_draw_panel(panel, width) for panel in panels]
    lines = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.shape[0] for cell in line) for line in lines]

    sheet_width = 2 * _MARGIN + columns * (width + _GAP) - _GAP
    sheet_height = 2 * _MARGIN + sum(heights) + _GAP * (len(lines) - 1)
    sheet = np.full((sheet_height, sheet_width, 3), 255, dtype=np.uint8)
    top = _MARGIN
    for line, height in zip(lines, heights, strict=True):
        for column, cell in enumerate(line):
            left = _MARGIN + column * (width + _GAP)
            sheet[top : top + cell.shape[0], left : left + width] = cell
        top += height + _GAP
    return sheet


def _draw_panel(panel: Panel, width: int) -> np.ndarray:
    line_height = text_coverage("", _CAPTION_SIZE).shape[0] + 2
    head = line_height * len(panel.captions) + (3 if panel.captions else 0)
    height, picture_width = panel.picture.shape[:2]
    cell = np.full((head + height, width, 3), 255, dtype=np.uint8)
    for row, caption in enumerate(panel.captions):
        bold = row == 0
        text = _shorten(caption, width, bold)
        color = _INK if bold else _FAINT
        put_text(cell, text, 0, row * line_height, size=_CAPTION_SIZE, color=color, bold=bold)
    cell[head:, :picture_width] = panel.picture
    return cell


def _shorten(text: str, width: int, bold: bool) -> str:
    """Cut the end of a line off until it fits, and mark the cut."""
    kept = text
    while text_coverage(kept, _CAPTION_SIZE, bold).shape[1] > width and len(text) > 1:
        text = text[:-1]
        kept = f"{text}\N{HORIZONTAL ELLIPSIS}"
    return kept
