"""One picture that shows images of a data set beside their ground truth and their prediction."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from detectron2.structures import Instances

from solo.structures.box import Box
from solo.structures.cutouts import get_cutouts
from solo.structures.instances import THRESHOLD, are_boxes
from solo.visualization.draw import check_picture, draw_cutouts
from solo.visualization.legend import LegendItem, draw_legend, mark_swatch
from solo.visualization.marks import Mark, Marks, look_of_sides
from solo.visualization.text import put_text, text_coverage

_TITLES = ("image", "truth", "prediction")
_GAP = 6
_MARGIN = 16
_TITLE_SIZE = 17
_LABEL_SIZE = 12
_INK = (60, 60, 60)


class SheetRow(NamedTuple):
    """One image of the sheet."""

    image: np.ndarray  # (H, W, 3) uint8, BGR
    truth: Instances  # with gt_masks, or gt_boxes alone, and gt_classes
    prediction: Instances
    marks: Marks | None = None  # what became of objects and predictions, where that is known


def prediction_sheet(
    rows: Sequence[SheetRow],
    class_names: Sequence[str] | None = None,
    *,
    threshold: float = THRESHOLD,
    cell_size: int = 280,
    blocks: int | None = None,
) -> np.ndarray:
    """Draw images beside their ground truth and their prediction, in titled columns.

    With marks an object and the prediction that found it have one colour, right and wrong are told apart by
    sign and line, and a legend says how many there are of each. Without, a class has one colour.

    Args:
        rows: The images, at least one.
        class_names: Name per class.
        threshold: Probability below which a prediction is left out.
        cell_size: Longer side of each image on the sheet, in pixels.
        blocks: Rows are laid out in so many blocks side by side. None: one for up to five images,
            else two.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        ValueError: There are no rows.
    """
    if not rows:
        raise ValueError("A sheet needs at least one image; none was given.")
    blocks = min(blocks or (1 if len(rows) <= 5 else 2), len(rows))
    cells = [_draw_row(row, class_names, threshold, cell_size) for row in rows]

    # Lines across all blocks share a height, so that their images stay level.
    lines = [cells[start : start + blocks] for start in range(0, len(cells), blocks)]
    sheet = _lay_out(lines, _titles(threshold), cell_size)
    return np.vstack([sheet, *_legend(rows, threshold, sheet.shape[1])])


def _lay_out(
    lines: Sequence[Sequence[Sequence[np.ndarray]]], titles: Sequence[str], cell_size: int
) -> np.ndarray:
    """Lay cells out: lines of blocks of columns that have these titles."""
    heights = [max(row[0].shape[0] for row in line) for line in lines]
    title_height = text_coverage("", _TITLE_SIZE, True).shape[0] + _GAP
    block_width = len(titles) * (cell_size + _GAP) - _GAP
    sheet_width = len(lines[0]) * (block_width + 2 * _MARGIN)
    sheet_height = 2 * _MARGIN + title_height + sum(heights) + _GAP * (len(lines) - 1)
    sheet = np.full((sheet_height, sheet_width, 3), 255, dtype=np.uint8)

    for block in range(len(lines[0])):
        left = _MARGIN + block * (block_width + 2 * _MARGIN)
        columns = [left + column * (cell_size + _GAP) for column in range(len(titles))]
        for x, title in zip(columns, titles, strict=True):
            put_text(sheet, title, x, _MARGIN - 2, size=_TITLE_SIZE, color=_INK, bold=True)
        top = _MARGIN + title_height
        for line, height in zip(lines, heights, strict=True):
            if block < len(line):
                for x, cell in zip(columns, line[block], strict=True):
                    _paste(sheet, cell, Box(x, top, x + cell_size, top + height))
            top += height + _GAP
    return sheet


def _titles(threshold: float) -> tuple[str, ...]:
    limit = f" from {100 * threshold:.3g} %" if threshold else ""
    return (*_TITLES[:-1], _TITLES[-1] + limit)


def _legend(rows: Sequence[SheetRow], threshold: float, width: int) -> list[np.ndarray]:
    """Return what marks mean, and how many there are; nothing where there are none."""
    found: Counter[Mark] = Counter()
    of_truth: Counter[Mark] = Counter()
    for row in rows:
        if row.marks:
            scores = row.prediction.scores.tolist()
            shown = (
                mark
                for mark, score in zip(row.marks.prediction, scores, strict=True)
                if score >= threshold
            )
            found.update(filter(None, shown))
            of_truth.update(filter(None, row.marks.truth))
    # What a prediction and its object have in common is counted once; an object alone has a sign, too.
    counts = {mark: found[mark] or of_truth[mark] for mark in Mark}
    noun = "box" if all(are_boxes(row.prediction) for row in rows) else "mask"
    items = [
        LegendItem(mark_swatch(mark), f"{count} {mark.value.meaning.replace('mask', noun)}")
        for mark, count in counts.items()
        if count
    ]
    if not items:
        return []
    items.append(LegendItem(None, f"Found: the right class and a {noun} IoU of 0.5 or more."))
    legend = draw_legend(items, width - 2 * _MARGIN)
    return [np.pad(legend, ((0, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), constant_values=255)]


def scale_to(image_bgr: np.ndarray, longer_side: int) -> np.ndarray:
    """Scale a picture, (H, W, 3) uint8, so that its longer side has so many pixels."""
    check_picture(image_bgr)
    height, width = image_bgr.shape[:2]
    scale = longer_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image_bgr, size, interpolation=interpolation)


def _draw_row(
    row: SheetRow, class_names: Sequence[str] | None, threshold: float, cell_size: int
) -> list[np.ndarray]:
    # Scaled before anything is drawn: lines and labels stay sharp on small images.
    image = scale_to(row.image, cell_size)
    size = (image.shape[0], image.shape[1])
    truth = get_cutouts(row.truth, size=size)
    prediction = get_cutouts(row.prediction, threshold=threshold, size=size)
    sides = look_of_sides(truth, prediction, row.marks, size)
    drawn = (
        draw_cutouts(
            image,
            cutouts,
            class_names,
            color_by=side.colors,
            marks=side.marks,
            font_size=_LABEL_SIZE,
        )
        for cutouts, side in zip((truth, prediction), sides, strict=True)
    )
    return [image, *drawn]


def _paste(sheet: np.ndarray, cell: np.ndarray, place: Box) -> None:
    """Put a picture into the middle of its place."""
    height, width = cell.shape[:2]
    x = place.left + (place.right - place.left - width) // 2
    y = place.top + (place.bottom - place.top - height) // 2
    sheet[y : y + height, x : x + width] = cell
