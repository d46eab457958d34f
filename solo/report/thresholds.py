"""Precision, recall and F1 of a model over the score from which on its predictions are shown.

Legend: N predictions of all images, S thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from solo.evaluation.best_f1 import THRESHOLDS, best_f1, count_from_each
from solo.report.looked_at import LookedAt


@dataclass(frozen=True, eq=False, kw_only=True)
class OverThreshold:
    """What is shown, and what of it is right, from each of S thresholds on.

    Attributes:
        shown: (S,) how many predictions have that score or more.
        found: (S,) how many of them find an object, which is as many objects.
        objects: How many there are to find.
        best: The threshold of the best F1; nan where nothing is found.
    """

    shown: np.ndarray
    found: np.ndarray
    objects: int
    best: float

    @property
    def thresholds(self) -> np.ndarray:
        """(S,), 0 to 0.99."""
        return THRESHOLDS

    @property
    def precision(self) -> np.ndarray:
        """(S,), nan where nothing is shown."""
        return np.divide(
            self.found, self.shown, out=np.full(len(self.shown), np.nan), where=self.shown > 0
        )

    @property
    def recall(self) -> np.ndarray:
        """(S,), nan where there are no objects."""
        return self.found / self.objects if self.objects else np.full(len(self.shown), np.nan)

    @property
    def f1(self) -> np.ndarray:
        """(S,), the harmonic mean of precision and recall; 0 where both are 0 or not there."""
        return 2 * self.found / np.maximum(self.shown + self.objects, 1)


class Pooled(NamedTuple):
    """The predictions and the objects of all images, without their masks."""

    scores: np.ndarray  # (N,)
    hits: np.ndarray  # (N,) bool, whether each finds an object
    classes: np.ndarray  # (N,)
    objects: np.ndarray  # the class of each object

    def of_class(self, category: int) -> "Pooled":
        """Return those of one class."""
        rows = self.classes == category
        objects = self.objects[self.objects == category]
        return Pooled(self.scores[rows], self.hits[rows], self.classes[rows], objects)


def pool(images: Sequence[LookedAt]) -> Pooled:
    """Put the images together, one at least, but for predictions that a crowd excuses: these are no mistakes."""
    counted = [(image.matches >= 0) | ~image.in_crowd for image in images]
    rows = list(zip(images, counted, strict=True))
    return Pooled(
        scores=np.concatenate([image.found.scores.numpy()[kept] for image, kept in rows]),
        hits=np.concatenate([image.matches[kept] >= 0 for image, kept in rows]),
        classes=np.concatenate([image.found.pred_classes.numpy()[kept] for image, kept in rows]),
        objects=np.concatenate([image.truth.pred_classes.numpy() for image in images]),
    )


def over_threshold(pooled: Pooled) -> OverThreshold:
    """Count what is shown and right from each threshold on, in steps of 0.01.

    Matching goes by falling score, so that a threshold leaves the matches above it as they are.
    """
    scores, hits, objects = pooled.scores, pooled.hits, len(pooled.objects)
    return OverThreshold(
        shown=count_from_each(scores),
        found=count_from_each(scores[hits]),
        objects=objects,
        best=best_f1(scores, hits, objects).threshold,
    )
