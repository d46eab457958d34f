"""Masks of single objects, or their boxes, kept as the pixels inside: cheap to move, cut and paste."""

import math
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
        corners: (x0, y0, x1, y1) of an object of which the box is known and no mask, in pixels, as it was before
            anything was cut off; its pixels are all that it touches. None: of one with a mask.
    """

    left: int
    top: int
    pixels: np.ndarray
    category: int = 0
    own_area: float = 0.0
    corners: tuple[float, float, float, float] | None = None

    @property
    def box(self) -> Box:
        """The tight bounds."""
        height, width = self.pixels.shape
        return Box(self.left, self.top, self.left + width, self.top + height)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The tight bounds, (x0, y0, x1, y1); of a box without a mask to a fraction of a pixel."""
        box = self.box
        if self.corners is None:
            return box
        left, top, right, bottom = self.corners
        return (
            max(left, box.left),
            max(top, box.top),
            min(right, box.right),
            min(bottom, box.bottom),
        )

    @property
    def area(self) -> float:
        """The number of pixels; of a box without a mask with its fractions."""
        count = int(np.count_nonzero(self.pixels))
        if self.corners is None:
            return count
        left, top, right, bottom = self.bounds
        return min(count, (right - left) * (bottom - top))

    @property
    def measures(self) -> tuple[float, float, int]:
        """Center x, y and area, those of `solo.layers.masks.measure_masks` to the last bit; of most at a tenth of its cost."""
        sums = cv2.moments(np.ascontiguousarray(self.pixels).view(np.uint8))
        area = sums["m00"]
        # Whole numbers: dividing them in float64 rounds once, to the nearest float32.
        x = np.float32((sums["m10"] + area * self.left) / area)
        y = np.float32((sums["m01"] + area * self.top) / area)
        return float(x), float(y), int(area)

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
        corners = self.corners
        if corners is not None:
            corners = (corners[0] + x, corners[1] + y, corners[2] + x, corners[3] + y)
        return self._replace(left=self.left + x, top=self.top + y, corners=corners)

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


def region_of_box(
    corners: tuple[float, float, float, float], height: int, width: int
) -> Region | None:
    """Return the region of an object that only its box is known of.

    Args:
        corners: x0, y0, x1, y1 in pixels; they may lie outside the image.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        The region; None if less than the area of a pixel lies in the image.
    """
    left, top = (math.floor(max(corner, 0)) for corner in corners[:2])
    right, bottom = (
        math.ceil(min(*pair)) for pair in zip(corners[2:], (width, height), strict=True)
    )
    if right <= left or bottom <= top:
        return None
    pixels = np.ones((bottom - top, right - left), dtype=bool)
    region = Region(left, top, pixels, corners=corners)
    return region if region.area >= 1 else None


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
