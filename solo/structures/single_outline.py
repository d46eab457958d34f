"""A mask with holes and parts as one polygon, whose filling gives the mask again.

Contours are joined by bridges of no width, there and back: where a filled polygon is crossed an even number
of times there is nothing, so that holes stay holes, and bridges are not seen.
"""

from typing import NamedTuple

import cv2
import numpy as np

from solo.structures.region import Region

# Corners up to which bridges are the shortest: looking for them takes the square of the number.
_MOST_CORNERS = 20_000
# Distances between corners that are computed at a time.
_DISTANCES_AT_A_TIME = 1 << 22


class _Bridge(NamedTuple):
    """The shortest way from a contour to what is joined already.

    Attributes:
        length: Squared.
        start: Corner (x, y) of what is joined.
        end: Number of the corner of the contour.
    """

    length: float
    start: np.ndarray
    end: int


def single_outline(region: Region) -> np.ndarray:
    """Return one polygon along the edges of the pixels of a mask.

    Args:
        region: The mask.

    Returns:
        (n, 2) float64, x and y in pixels of the image.
    """
    contours = _contours(region.pixels)
    joined = _by_nearest if sum(map(len, contours)) <= _MOST_CORNERS else _by_first
    return joined(contours) + np.array([region.left, region.top], dtype=np.float64)


def _by_first(contours: list[np.ndarray]) -> np.ndarray:
    """Join contours by bridges from the first corner of the first to the first corners of all."""
    center = contours[0][:1]
    around = [np.concatenate([contour, contour[:1], center]) for contour in contours]
    return np.concatenate([center, *around])


def _by_nearest(contours: list[np.ndarray]) -> np.ndarray:
    """Join contours one by one, the nearest first, by the shortest bridges."""
    first, *rest = contours
    outline = first
    bridges = [_shortest(contour, first) for contour in rest]
    while rest:
        nearest = min(range(len(rest)), key=lambda number: bridges[number].length)
        contour, bridge = rest.pop(nearest), bridges.pop(nearest)
        place = int((outline == bridge.start).all(axis=1).argmax())
        # Around the contour, back to where it was entered, and over the bridge again.
        around = np.roll(contour, -bridge.end, axis=0)
        outline = np.concatenate([outline[: place + 1], around, around[:1], outline[place:]])
        for number, other in enumerate(rest):
            way = _shortest(other, contour)
            bridges[number] = min(bridges[number], way, key=lambda bridge: bridge.length)
    return outline


def _contours(pixels: np.ndarray) -> list[np.ndarray]:
    """Return the contours of parts and holes, (n, 2) each, along the edges of pixels.

    OpenCV's run through the middles of pixels. In the mask at twice its size the first of two equal
    pixels has its middle beside the near edge of what it was, and the second beside the far one.
    """
    twice = pixels.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1)
    found, _ = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [_corners((contour[:, 0] + 1) // 2) for contour in found]


def _corners(points: np.ndarray) -> np.ndarray:
    """Leave out the points of a closed line at which it does not turn."""
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    # Where it turns back, along a line of no width, the product is zero, too.
    turns |= (before * after).sum(axis=1) < 0
    return points[turns].astype(np.float64)


def _shortest(contour: np.ndarray, joined: np.ndarray) -> _Bridge:
    best: _Bridge | None = None
    step = max(_DISTANCES_AT_A_TIME // len(joined), 1)
    for begin in range(0, len(contour), step):
        part = contour[begin : begin + step, None]
        lengths = ((part - joined[None]) ** 2).sum(axis=2)
        row, column = divmod(int(lengths.argmin()), len(joined))
        if best is None or lengths[row, column] < best.length:
            best = _Bridge(float(lengths[row, column]), joined[column], begin + row)
    assert best is not None
    return best
