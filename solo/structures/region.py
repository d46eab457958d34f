"""Masks of single objects, kept as the pixels inside their boxes: cheap to move, cut and paste."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from solo.structures.box import Box
from solo.structures.polygons import draw_polygons


class Region(NamedTuple):
    """The pixels of one object in an image; never empty.

    Attributes:
        left: Of its box, in pixels.
        top: Of its box, in pixels.
        pixels: (h, w) bool, the box: its outer rows and columns hold pixels of the object.
        category: Class index.
        own_area: Pixels that the object has where nothing is cut off or covered, at the scale it is
            shown at; 0 if nobody asks.
    """

    left: int
    top: int
    pixels: np.ndarray
    category: int = 0
    own_area: float = 0.0

    @property
    def box(self) -> Box:
        """The tight bounds."""
        height, width = self.pixels.shape
        return Box(self.left, self.top, self.left + width, self.top + height)

    @property
    def area(self) -> int:
        """The number of pixels."""
        return int(np.count_nonzero(self.pixels))

    def within(self, window: Box) -> "Region | None":
        """Return the part inside a window; None if there is none."""
        seen = self.box.common(window)
        if seen == self.box:
            return self
        rows, columns = seen.moved(-self.left, -self.top).slices
        return self._replace(
            left=seen.left, top=seen.top, pixels=self.pixels[rows, columns]
        ).tight()

    def moved(self, x: int, y: int) -> "Region":
        """Return the region x pixels further right and y further down."""
        return self._replace(left=self.left + x, top=self.top + y)

    def without(self, other: "Region") -> "Region | None":
        """Return what another region does not cover; None if it covers all."""
        shared = self.box.common(other.box)
        covering = other.pixels[shared.moved(-other.left, -other.top).slices]
        if not covering.any():
            return self
        pixels = self.pixels.copy()
        pixels[shared.moved(-self.left, -self.top).slices] &= ~covering
        return self._replace(pixels=pixels).tight()

    def tight(self) -> "Region | None":
        """Return the region without empty outer rows and columns; None if no pixel is left."""
        if not self.pixels.size:
            return None
        x, y, width, height = cv2.boundingRect(np.ascontiguousarray(self.pixels).view(np.uint8))
        if not height:
            return None
        if (height, width) == self.pixels.shape:
            return self
        return self._replace(
            left=self.left + x,
            top=self.top + y,
            # A copy: a slice would keep the memory of the whole.
            pixels=self.pixels[y : y + height, x : x + width].copy(),
        )


def region_of_mask(mask: np.ndarray) -> Region | None:
    """Return the region of an (H, W) mask of an image, bool or uint8; None if it is empty."""
    return Region(0, 0, mask.astype(bool, copy=False)).tight()


def region_of_polygons(polygons: Sequence[np.ndarray], height: int, width: int) -> Region | None:
    """Draw the polygons of an object, inside their own box only.

    Equal, pixel by pixel, to ``detectron2.structures.masks.polygons_to_bitmask``.

    Args:
        polygons: Corners (n, 2) float64, x and y in pixels; they may lie outside the image.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        The region; None if no pixel of the image belongs to it.
    """
    if not polygons:
        return None
    corners = np.concatenate(polygons)
    origin = np.maximum(np.floor(corners.min(axis=0)), 0)
    end = np.minimum(np.floor(corners.max(axis=0)) + 2, (width, height))
    columns, rows = (end - origin).astype(int)
    if columns <= 0 or rows <= 0:
        return None
    # pycocotools rounds corners to fifths of a pixel. This is done here, before the origin is
    # taken off: afterwards, a corner half-way between two fifths may be rounded to the other.
    shifted = [
        np.where(origin > 0, np.floor(polygon * 5 + 0.5) / 5 - origin, polygon)
        for polygon in polygons
    ]
    runs = draw_polygons(shifted, (int(rows), int(columns)))
    left, top = origin.astype(int).tolist()
    return Region(left, top, coco_mask.decode(runs).astype(bool, order="C")).tight()
