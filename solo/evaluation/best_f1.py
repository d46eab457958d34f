"""Which prediction finds which object, by COCO's rule at IoU 0.5, and the score from which on F1 is best.

Legend: P predictions and T objects of one image, N predictions of all images.
"""

import math
from typing import NamedTuple

import numpy as np

# IoU of a prediction that finds an object.
MATCH_IOU = 0.5
THRESHOLDS = np.arange(100) / 100
# Predictions by which a threshold may be worse and is as good as the best one: on few images the best is one by
# chance. Of thresholds chosen on 2 and on 10 of digits_val, F1 on all of it was 80.6 and 81.1 on average, in place
# of 75.0 and 80.6 of the lowest best one; on 100 images both are 81.7 to 81.8.
_LEEWAY = 2


class BestF1(NamedTuple):
    """A threshold of scores, and the F1 of the predictions from there on, 0 to 1.

    Both are nan where there is nothing to find; the threshold is, too, where nothing is found.
    """

    threshold: float
    f1: float


def match(ious: np.ndarray, scores: np.ndarray, same_class: np.ndarray) -> np.ndarray:
    """Return which object each prediction finds, by COCO's rule at IoU 0.5.

    Args:
        ious: (P, T).
        scores: (P,).
        same_class: (P, T) bool.

    Returns:
        (P,) int64, -1 for none.
    """
    matches = np.full(len(scores), -1)
    if not ious.size:
        return matches
    free = np.ones(ious.shape[1], dtype=bool)
    for index in np.argsort(-scores, kind="stable"):
        candidates = np.where(free & same_class[index], ious[index], 0)
        best = candidates.argmax()
        if candidates[best] >= MATCH_IOU:
            matches[index] = best
            free[best] = False
    return matches


def count_from_each(scores: np.ndarray) -> np.ndarray:
    """Return how many of some scores are as high as each of THRESHOLDS, or higher."""
    counts: np.ndarray = len(scores) - np.searchsorted(np.sort(scores), THRESHOLDS)
    return counts


def best_f1(scores: np.ndarray, hits: np.ndarray, objects: int) -> BestF1:
    """Return the threshold of the best F1, in steps of 0.01: the middle of those that are as good.

    Args:
        scores: (N,).
        hits: (N,) bool, whether each finds an object. Matching goes by falling score, so that a
            threshold leaves the matches above it as they are.
        objects: How many there are to find.
    """
    if not objects or not hits.any():
        return BestF1(math.nan, 0.0 if objects else math.nan)
    kept, found = count_from_each(scores), count_from_each(scores[hits])
    f1 = 2 * found / (kept + objects)
    best = f1.argmax()
    as_good = np.flatnonzero(f1 >= 2 * found[best] / (kept[best] + objects + _LEEWAY))
    middle = as_good[len(as_good) // 2]
    return BestF1(float(THRESHOLDS[middle]), float(f1[middle]))
