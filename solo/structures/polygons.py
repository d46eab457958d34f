"""Polygons drawn as pycocotools draws them, in bounded memory however far out their corners lie."""

from collections.abc import Sequence

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from solo.structures.run_lengths import RLE

# Pixels of outline, for each of which pycocotools takes about 120 bytes.
_LONG, _TOO_LONG = 1 << 19, 1 << 23
# Pixels beyond the frame that long outlines keep: the drawing inside does not see the cut.
_MARGIN = 8


def draw_polygons(polygons: Sequence[np.ndarray], size: tuple[int, int]) -> RLE:
    """Draw the polygons of an object.

    Args:
        polygons: Corners, (n, 2) or (2n,) float64, x and y in pixels; they may lie outside the frame.
        size: (H, W) of the frame, in pixels.

    Returns:
        The mask, whose counts are bytes.
    """
    height, width = size
    drawn = []
    for polygon in polygons:
        corners = polygon.reshape(-1, 2)
        # No outline is longer than this product; most need no closer look.
        if len(corners) * float(np.ptp(corners, axis=0).max()) > _LONG:
            if _outline(corners) > _LONG:
                corners = clip_polygon(
                    corners, (-_MARGIN, -_MARGIN), (width + _MARGIN, height + _MARGIN)
                )
            if len(corners) < 3:
                continue
            if _outline(corners) > _TOO_LONG:
                drawn.append(_draw_roughly(corners, size))
                continue
        drawn += coco_mask.frPyObjects([corners.ravel()], height, width)
    return coco_mask.merge(drawn or coco_mask.frPyObjects([[0.0] * 6], height, width))


def clip_polygon(
    corners: np.ndarray, least: tuple[float, float], most: tuple[float, float]
) -> np.ndarray:
    """Cut a polygon off at the sides of a window, by Sutherland and Hodgman (1974).

    Args:
        corners: (n, 2), x and y.
        least: Smallest x and y of the window.
        most: Largest x and y.

    Returns:
        (m, 2); none if nothing of it lies inside.
    """
    for axis in (0, 1):
        for sign, limit in ((1, least[axis]), (-1, most[axis])):
            if not len(corners):
                return corners
            depth = sign * (corners[:, axis] - limit)
            following, next_depth = np.roll(corners, -1, axis=0), np.roll(depth, -1)
            inside = depth >= 0
            crossing = inside != np.roll(inside, -1)
            share = np.divide(depth, depth - next_depth, out=np.zeros_like(depth), where=crossing)
            cuts = corners + share[:, None] * (following - corners)
            both = np.stack([corners, cuts], axis=1).reshape(-1, 2)
            corners = both[np.stack([inside, crossing], axis=1).ravel()]
    return corners


def _outline(corners: np.ndarray) -> float:
    """Return the steps that drawing goes along the sides of a polygon."""
    return float(np.abs(np.roll(corners, -1, axis=0) - corners).max(axis=1).sum())


def _draw_roughly(corners: np.ndarray, size: tuple[int, int]) -> RLE:
    """Draw a scribble that fills its frame many times over, to whole pixels."""
    pixels = np.zeros(size, dtype=np.uint8)
    cv2.fillPoly(pixels, [np.rint(corners).astype(np.int32)], 1)
    return coco_mask.encode(np.asfortranarray(pixels))
