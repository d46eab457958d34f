"""Training images with their objects, and the cells that have to find these.

Legend: H, W size of a picture in pixels, S cells per side, P (cell, instance) pairs.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from detectron2.structures import Instances

from solo.structures.cutouts import Cutout, get_cutouts
from solo.visualization.draw import color_numbers, draw_cutouts, draw_mask
from solo.visualization.legend import LegendItem
from solo.visualization.marks import Mark
from solo.visualization.palette import PALETTE
from solo.visualization.sheet import scale_to

_LABEL_SIZE = 12
# Of objects that no cell has to find: no colour of an instance is as pure a red.
_WARNING = (0, 0, 255)
_CELL_ALPHA = 0.7
_GRID_ALPHA = 0.3


class LevelTargets(NamedTuple):
    """The positive cells of one level."""

    side: int  # S
    cells: np.ndarray  # (P,) numbers within the level, row * S + column
    instances: np.ndarray  # (P,) row of the instance that each has to find


def draw_training_image(
    image_bgr: np.ndarray,
    truth: Instances,
    class_names: Sequence[str] | None = None,
    *,
    longer_side: int = 320,
    color_by: str = "class",
    warn_of: Collection[int] = (),
) -> np.ndarray:
    """Draw masks, boxes and class names on an augmented image.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        truth: With gt_masks, gt_boxes and gt_classes.
        class_names: Name per class.
        longer_side: Of the result, in pixels.
        color_by: "class" or "instance".
        warn_of: Rows that are hatched, and outlined in the colour of warning.

    Returns:
        The picture at its new size, uint8, BGR.
    """
    picture = scale_to(image_bgr, longer_side)
    cutouts = get_cutouts(truth, size=(picture.shape[0], picture.shape[1]))
    scale = np.array(picture.shape[1::-1] * 2) / np.array(image_bgr.shape[1::-1] * 2)
    numbers = color_numbers(cutouts, color_by, picture.shape)
    for cutout in cutouts:
        box = np.rint(truth.gt_boxes.tensor[cutout.row].numpy() * scale).astype(int).tolist()
        color = PALETTE[numbers[cutout.row] % len(PALETTE)]
        cv2.rectangle(picture, tuple(box[:2]), (box[2] - 1, box[3] - 1), color, 1)
    # Before the masks and their labels, which stay readable: thicker than the masks' own outlines.
    _outline(picture, cutouts, warn_of, 6)
    return draw_cutouts(
        picture,
        cutouts,
        class_names,
        color_by=numbers,
        font_size=_LABEL_SIZE,
        marks=dict.fromkeys(warn_of, Mark.MISSED),
    )


def draw_cells(
    image_bgr: np.ndarray,
    truth: Instances,
    level: LevelTargets,
    *,
    longer_side: int = 320,
    warn_of: Collection[int] = (),
) -> np.ndarray:
    """Draw the grid of one level, its positive cells, and the outlines of their objects.

    A cell that several objects claim shows the colours of all of them, side by side.

    Args:
        image_bgr: (H, W, 3) uint8, BGR, padded as the model pads it.
        truth: With gt_masks and gt_classes, padded, too.
        level: The positive cells.
        longer_side: Of the result, in pixels.
        warn_of: Rows that are outlined in the colour of warning.

    Returns:
        The picture at its new size, uint8, BGR.
    """
    picture = scale_to(image_bgr, longer_side)
    # Paler, so that the cells stand out.
    picture = cv2.addWeighted(picture, 0.6, np.full_like(picture, 255), 0.4, 0)
    cutouts = get_cutouts(truth, size=(picture.shape[0], picture.shape[1]))
    colors = color_numbers(cutouts, "instance", picture.shape)
    _fill_cells(picture, level, colors)
    _draw_grid(picture, level.side)
    for cutout in cutouts:
        if cutout.row in level.instances:
            draw_mask(picture, cutout, PALETTE[colors[cutout.row]], 0, 2)
    _outline(picture, cutouts, warn_of, 3)
    return picture


def _fill_cells(picture: np.ndarray, level: LevelTargets, colors: Mapping[int, int]) -> None:
    colored = picture.copy()
    rows, columns = (_borders(level.side, length) for length in picture.shape[:2])
    for cell in np.unique(level.cells).tolist():
        owners = level.instances[level.cells == cell].tolist()
        row, column = divmod(cell, level.side)
        top, bottom = rows[row : row + 2]
        left, right = columns[column : column + 2]
        stripes = np.linspace(left, right, len(owners) + 1).round().astype(int)
        for owner, begin, end in zip(owners, stripes[:-1], stripes[1:], strict=True):
            # An object may be too small to have a pixel here.
            number = colors.get(owner, owner)
            colored[top:bottom, begin:end] = PALETTE[number % len(PALETTE)]
    cv2.addWeighted(colored, _CELL_ALPHA, picture, 1 - _CELL_ALPHA, 0, dst=picture)


def _borders(side: int, length: int) -> list[int]:
    """Return where each cell of a side begins, in pixels, and where the last one ends."""
    return [round(index * length / side) for index in range(side + 1)]


def _draw_grid(picture: np.ndarray, side: int) -> None:
    lined = picture.copy()
    lined[_borders(side, picture.shape[0])[1:-1]] = 0
    lined[:, _borders(side, picture.shape[1])[1:-1]] = 0
    cv2.addWeighted(lined, _GRID_ALPHA, picture, 1 - _GRID_ALPHA, 0, dst=picture)


def _outline(
    picture: np.ndarray, cutouts: Sequence[Cutout], rows: Collection[int], thickness: int
) -> None:
    for cutout in cutouts:
        if cutout.row in rows:
            draw_mask(picture, cutout, _WARNING, 0, thickness)


def target_legend() -> list[LegendItem]:
    """Return what is to be seen in pictures of cells, by samples drawn as they are."""
    ground = np.full((48, 48, 3), 128, dtype=np.uint8)
    truth = Instances((48, 48), gt_classes=torch.zeros(2, dtype=torch.int64))
    truth.gt_masks = torch.zeros(2, 48, 48, dtype=torch.bool)
    truth.gt_masks[0, 4:40, 4:40] = True
    truth.gt_masks[1, 12:44, 12:44] = True
    lit, twice, none = (
        (LevelTargets(3, np.array([4]), np.array([0])), ()),
        (LevelTargets(3, np.array([4, 4]), np.array([0, 1])), ()),
        (LevelTargets(3, np.array([], int), np.array([], int)), (0,)),
    )
    words = (
        "a lit cell has to find the object that is outlined in its colour",
        "a striped cell has to find several objects at once",
        "no cell of any level has to find this object: it is not learnt",
    )
    return [
        LegendItem(draw_cells(ground, truth, level, longer_side=24, warn_of=rows), text)
        for (level, rows), text in zip((lit, twice, none), words, strict=True)
    ]
