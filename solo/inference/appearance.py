"""What the objects of a video look like: histograms of their colours, by which one is known again.

Legend: n, t objects, B bins.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from solo.structures.cutouts import Cutout

# Bins of each of lightness and the two axes of colour.
_BINS = 32
# The weights of a bin and its neighbours: colours near the edge of a bin change over.
_SMOOTHING = np.array([1, 2, 1], dtype=np.float32) / 4


def looks_of(image: np.ndarray, cutout: Cutout) -> np.ndarray:
    """Return the look of an object: the roots of the shares of its pixels per bin of Lab.

    Args:
        image: (H, W, 3) uint8 BGR.
        cutout: Its mask, in the image.

    Returns:
        (B,) float32, of length 1.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(image[cutout.box.slices]), cv2.COLOR_BGR2LAB)
    counts = [
        cv2.calcHist([lab], [channel], cutout.mask, [_BINS], [0, 256]) for channel in range(3)
    ]
    smooth = [np.convolve(count.ravel(), _SMOOTHING, mode="same") for count in counts]
    return unit(np.sqrt(np.concatenate(smooth)))


def unit(look: np.ndarray) -> np.ndarray:
    """Return it at length 1."""
    return look / max(float(np.linalg.norm(look)), 1e-12)


def likenesses(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """Return how alike n and t looks are, (n, t) float64: 1 is the same colours, 0 none in common.

    It is the Bhattacharyya coefficient of their histograms.
    """
    return np.array(first, dtype=np.float64) @ np.array(second, dtype=np.float64).T
