"""By how much a picture moves as a whole from frame to frame, as a camera in the hand moves it."""

from collections.abc import Sequence

import cv2
import numpy as np

from solo.structures.cutouts import Cutout

# Pixels of the longer side at which frames are compared.
_SIDE = 240
# Of the background: the most that are followed, and the least that tell anything.
_MOST_POINTS, _LEAST_POINTS = 60, 8
# The share of points that have to move alike, and what is alike in pixels.
_LEAST_AGREEING, _ALIKE = 0.5, 1.0


class CameraMotion:
    """The frames of one video: points of the background are followed from each to the next."""

    def __init__(self) -> None:
        """Start a video."""
        self._before: np.ndarray | None = None
        self._points: np.ndarray | None = None

    def shift(self, image: np.ndarray, cutouts: Sequence[Cutout]) -> np.ndarray:
        """Return by how much the next frame has moved, (2,) pixels to the right and down.

        Args:
            image: The frame, (H, W, 3) uint8 BGR.
            cutouts: Its objects: where they are is no background.
        """
        shrunk = min(1.0, _SIDE / max(image.shape[:2]))
        size = [max(round(side * shrunk), 1) for side in image.shape[1::-1]]
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        before, points = self._before, self._points
        now = self._before = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        self._points = _points_of(now, cutouts, shrunk)
        if before is None or points is None or before.shape != now.shape:
            return np.zeros(2)
        moved, is_found, _ = cv2.calcOpticalFlowPyrLK(before, now, points, None)
        flows = (moved - points)[is_found.astype(bool)]
        if len(flows) < _LEAST_POINTS:
            return np.zeros(2)
        agreeing = np.linalg.norm(flows - np.median(flows, axis=0), axis=1) < _ALIKE
        if agreeing.mean() < _LEAST_AGREEING:
            return np.zeros(2)
        return flows[agreeing].mean(axis=0) / shrunk


def _points_of(gray: np.ndarray, cutouts: Sequence[Cutout], shrunk: float) -> np.ndarray | None:
    """Return corners of the background, (n, 1, 2) float32 x and y; None where there are too few."""
    background = np.full(gray.shape, 255, dtype=np.uint8)
    for cutout in cutouts:
        left, top, right, bottom = (int(side * shrunk) for side in cutout.box)
        background[max(top - 1, 0) : bottom + 2, max(left - 1, 0) : right + 2] = 0
    points = cv2.goodFeaturesToTrack(gray, _MOST_POINTS, 0.01, 5, mask=background)
    return points if points is not None and len(points) >= _LEAST_POINTS else None
