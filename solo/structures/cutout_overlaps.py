"""How much the masks of two sets of cut-out instances overlap.

Legend: m, n instances.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from solo.structures.box import Box
from solo.structures.cutouts import Cutout


def boxes_of_cutouts(cutouts: Sequence[Cutout]) -> np.ndarray:
    """Return the bounds of masks, (n, 4) int64: left, top, right and bottom, the latter two exclusive."""
    return np.array([cutout.box for cutout in cutouts], dtype=np.int64).reshape(-1, 4)


def mask_ious(first: Sequence[Cutout], second: Sequence[Cutout]) -> np.ndarray:
    """Return the IoU of each mask with each other, (m, n) float64; only where two boxes meet is it counted."""
    ious = np.zeros((len(first), len(second)))
    areas = [[cv2.countNonZero(each.mask) for each in some] for some in (first, second)]
    ours, theirs = boxes_of_cutouts(first)[:, None], boxes_of_cutouts(second)
    least = np.maximum(ours[..., :2], theirs[:, :2])
    most = np.minimum(ours[..., 2:], theirs[:, 2:])
    for row, column in np.argwhere((least < most).all(axis=-1)).tolist():
        shared = Box(*least[row, column].tolist(), *most[row, column].tolist())
        both = _count_shared(first[row], second[column], shared)
        ious[row, column] = both / (areas[0][row] + areas[1][column] - both)
    return ious


def _count_shared(a: Cutout, b: Cutout, shared: Box) -> int:
    """Count the pixels of two masks in what their boxes share."""
    parts = [each.mask[shared.moved(-each.left, -each.top).slices] for each in (a, b)]
    return int(cv2.countNonZero(cv2.bitwise_and(*parts)))
