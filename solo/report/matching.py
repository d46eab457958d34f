"""Which prediction finds which object, by COCO's rule at IoU 0.5, and scores made of that.

Legend: P predictions and T objects of one image, N predictions of all images. IoUs, areas and
shared pixels are those of masks.
"""

from dataclasses import dataclass

import numpy as np

# IoU of a prediction that finds an object.
MATCH_IOU = 0.5
_THRESHOLDS = np.arange(100) / 100


@dataclass(frozen=True, eq=False, kw_only=True)
class Overlaps:
    """Pixels that the masks of an image share with one another.

    Attributes:
        shared: (P, T) of predictions with objects.
        predictions: (P, P) of predictions with each other; their areas are on the diagonal.
        objects: (T, T) likewise.
    """

    shared: np.ndarray
    predictions: np.ndarray
    objects: np.ndarray

    @property
    def ious(self) -> np.ndarray:
        """(P, T); 0 where both masks are empty."""
        areas = self.predictions.diagonal()[:, None] + self.objects.diagonal()
        return self.shared / np.maximum(areas - self.shared, 1)

    @property
    def of_predictions(self) -> np.ndarray:
        """(P, T), the share of each prediction that lies in each object."""
        return shares(self.shared, self.predictions.diagonal())

    @property
    def of_objects(self) -> np.ndarray:
        """(P, T), the share of each object that each prediction covers."""
        return shares(self.shared.T, self.objects.diagonal()).T


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


def image_score(ious: np.ndarray, matches: np.ndarray) -> float:
    """Return F1 times the mean IoU of the objects found, as panoptic quality is, over all classes.

    Args:
        ious: (P, T).
        matches: (P,) the object that each prediction found, -1 for none.

    Returns:
        0 to 1; nan where there are neither objects nor predictions.
    """
    found = np.flatnonzero(matches >= 0)
    total = sum(ious.shape)
    return float(2 * ious[found, matches[found]].sum() / total) if total else float("nan")


def best_threshold(scores: np.ndarray, hits: np.ndarray, objects: int) -> float:
    """Return the score from which on predictions have the largest F1, in steps of 0.01.

    Args:
        scores: (N,).
        hits: (N,) bool, whether each finds an object. Matching goes by falling score, so that a
            threshold leaves the matches above it as they are.
        objects: How many there are to find.
    """
    kept = len(scores) - np.searchsorted(np.sort(scores), _THRESHOLDS)
    found = np.count_nonzero(hits) - np.searchsorted(np.sort(scores[hits]), _THRESHOLDS)
    return float(_THRESHOLDS[np.argmax(2 * found / np.maximum(kept + objects, 1))])


def shares(shared: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Divide rows of shared pixels by the areas of the masks that the rows are of."""
    return shared / np.maximum(areas, 1)[:, None]
