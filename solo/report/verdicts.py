"""What is wrong with predictions, and why objects were not found: one kind for each of them.

Legend: P predictions and T objects of one image, N predictions of all images. IoUs, areas and
shared pixels are those of masks.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

# IoU of a prediction that finds an object.
MATCH_IOU = 0.5
# Share of a mask's pixels that lie in another one.
_HALF = 0.5
# IoU from which a prediction is about an object at all, and the share of a whole that a part has.
_TENTH = 0.1
_THRESHOLDS = np.arange(100) / 100


class Kind(IntEnum):
    """What became of a prediction or of an object; `DEFINITIONS` says when, in one line each.

    A prediction is of the first of these kinds that fits, IoUs and shares being of masks:

    - CORRECT: by falling score, each prediction takes the object of its class with the largest IoU,
      at least 0.5, among those that are not taken yet. This is COCO's rule at IoU 0.5.
    - IGNORED: half of it lies in a crowd region of its class, as COCO has it.
    - DUPLICATE: it has an IoU of 0.5 with the object that it overlaps most, which is of its class
      and taken.
    - WRONG_CLASS: the same with an object of another class.
    - MERGED: it covers half of each of several objects, each of them a tenth of it at least. Of
      objects that lie by half in one another only the larger one counts.
    - SPLIT: half of it lies in the object that it overlaps most, a tenth of which it covers at
      least, and so does another prediction, which is SPLIT, too, or the CORRECT one of this object.
      Of predictions that lie by half in one another only the larger one counts, and of equal ones
      the more confident one.
    - POOR: the object that it overlaps most is of its class, at an IoU of 0.1 to 0.5.
    - WRONG_CLASS: that object is of another class.
    - BACKGROUND: every IoU is under 0.1.

    An object is CORRECT if a prediction took it. Else it is of the kind of the predictions that
    are about it: the first of WRONG_CLASS at an IoU of 0.5, MERGED, SPLIT, POOR and WRONG_CLASS. A
    CORRECT prediction that covers a second object as well merges this one. MISSED: there is none.
    """

    CORRECT = 0
    MISSED = 1
    MERGED = 2
    SPLIT = 3
    DUPLICATE = 4
    WRONG_CLASS = 5
    POOR = 6
    BACKGROUND = 7
    IGNORED = 8

    @property
    def title(self) -> str:
        """The kind as people call it."""
        return {Kind.POOR: "poorly localised"}.get(self, self.name.lower().replace("_", " "))


DEFINITIONS = {
    Kind.MISSED: "No prediction has an IoU of 0.1 or more with the object, but for those that are "
    "about other objects.",
    Kind.MERGED: "One prediction covers several objects, half of each or more.",
    Kind.SPLIT: "Several predictions that are apart from one another lie in one object, by half or "
    "more.",
    Kind.DUPLICATE: "IoU of 0.5 or more with an object of its class that a more confident prediction "
    "has found already.",
    Kind.WRONG_CLASS: "The object that it overlaps most, with an IoU of 0.1 or more, is of another "
    "class. A second label for an object that is found counts, too.",
    Kind.POOR: "The object that it overlaps most is of its class, but their IoU is only 0.1 to 0.5.",
    Kind.BACKGROUND: "Nothing is there: no IoU with any object reaches 0.1.",
}


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
        return _shares(self.shared, self.predictions.diagonal())

    @property
    def of_objects(self) -> np.ndarray:
        """(P, T), the share of each object that each prediction covers."""
        return _shares(self.shared.T, self.objects.diagonal()).T


class Verdict(NamedTuple):
    """The kinds of one image."""

    predictions: np.ndarray  # (P,) values of Kind
    objects: np.ndarray  # (T,) values of Kind
    matches: np.ndarray  # (P,) the object that each prediction found, -1 for none
    about: np.ndarray  # (P, T) bool, the objects that each prediction found, or is wrong about


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


def classify(
    overlaps: Overlaps,
    *,
    scores: np.ndarray,
    same_class: np.ndarray,
    in_crowd: np.ndarray,
) -> Verdict:
    """Give each prediction and each object of an image its one kind, as `Kind` defines them.

    Args:
        overlaps: Of their masks.
        scores: (P,).
        same_class: (P, T) bool, whether a prediction is of the class of an object.
        in_crowd: (P,) bool, whether half of a prediction lies in a crowd region of its class.
    """
    ious = overlaps.ious
    matches = match(ious, scores, same_class)
    correct = matches >= 0
    most = ious.max(axis=1, initial=0)
    # One row per prediction with its object of the largest IoU; no column where there are none.
    best = (ious == most[:, None]) & (most[:, None] > 0)
    best &= best.cumsum(axis=1) == 1
    right_class = (best & same_class).any(axis=1)
    close, near = most >= MATCH_IOU, most >= _TENTH

    merged = _merged(overlaps)
    own = matches[:, None] == np.arange(ious.shape[1])
    may_be_part = ~(correct | in_crowd | close | merged.any(axis=1))
    split = _split(overlaps, (best & may_be_part[:, None]) | own, scores)

    kinds = np.select(
        [
            correct,
            in_crowd,
            close & right_class,
            close,
            merged.any(axis=1),
            split.any(axis=1),
            near & right_class,
            near,
        ],
        [
            Kind.CORRECT,
            Kind.IGNORED,
            Kind.DUPLICATE,
            Kind.WRONG_CLASS,
            Kind.MERGED,
            Kind.SPLIT,
            Kind.POOR,
            Kind.WRONG_CLASS,
        ],
        Kind.BACKGROUND,
    )
    about = _about(kinds, own, best, merged, split)
    return Verdict(kinds, _object_kinds(kinds, close, own, about), matches, about)


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


def _shares(shared: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Divide rows of shared pixels by the areas of the masks that the rows are of."""
    return shared / np.maximum(areas, 1)[:, None]


def _merged(overlaps: Overlaps) -> np.ndarray:
    """Return (P, T) bool, the objects that each prediction merges."""
    covered = (overlaps.of_objects >= _HALF) & (overlaps.of_predictions >= _TENTH)
    return _groups(
        covered, overlaps.objects, np.argsort(-overlaps.objects.diagonal(), kind="stable")
    )


def _split(overlaps: Overlaps, candidates: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return (P, T) bool, the objects that each prediction is a part of; `candidates` likewise."""
    parts = (overlaps.of_predictions >= _HALF) & (overlaps.of_objects >= _TENTH) & candidates
    order = np.lexsort((-scores, -overlaps.predictions.diagonal()))
    return _groups(parts.T, overlaps.predictions, order).T


def _groups(inside: np.ndarray, shared: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Leave, of the masks inside of each whole, those that are apart, and only if there are two.

    Args:
        inside: (W, M) bool, which of M masks each of W wholes has.
        shared: (M, M) pixels that the masks share with one another.
        order: (M,) the masks from the largest to the smallest.
    """
    nested = _shares(shared, shared.diagonal()) >= _HALF
    groups = np.zeros_like(inside)
    for whole in np.flatnonzero(inside.sum(axis=1) > 1):
        members: list[int] = []
        for mask in order[inside[whole, order]]:
            if not nested[mask, members].any():
                members.append(mask)
        if len(members) > 1:
            groups[whole, members] = True
    return groups


def _about(
    kinds: np.ndarray, own: np.ndarray, best: np.ndarray, merged: np.ndarray, split: np.ndarray
) -> np.ndarray:
    """Return (P, T) bool, the objects that each prediction is about, by its kind."""
    by_kind = {
        Kind.CORRECT: own | merged,
        Kind.MERGED: merged,
        Kind.SPLIT: split,
        Kind.DUPLICATE: best,
        Kind.WRONG_CLASS: best,
        Kind.POOR: best,
    }
    about = np.zeros_like(best)
    for kind, objects in by_kind.items():
        about[kinds == kind] = objects[kinds == kind]
    return about


def _object_kinds(
    kinds: np.ndarray, close: np.ndarray, own: np.ndarray, about: np.ndarray
) -> np.ndarray:
    """Return (T,) the kinds of the objects."""

    def has(predictions: np.ndarray) -> np.ndarray:
        return about[predictions].any(axis=0)

    wrong = kinds == Kind.WRONG_CLASS
    return np.select(
        [
            own.any(axis=0),
            has(wrong & close),
            has((kinds == Kind.MERGED) | (kinds == Kind.CORRECT)),
            has(kinds == Kind.SPLIT),
            has(kinds == Kind.POOR),
            has(wrong),
        ],
        [
            Kind.CORRECT,
            Kind.WRONG_CLASS,
            Kind.MERGED,
            Kind.SPLIT,
            Kind.POOR,
            Kind.WRONG_CLASS,
        ],
        Kind.MISSED,
    )
