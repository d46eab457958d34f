"""What is wrong with predictions, and why objects were not found: one kind for each of them.

Legend: P predictions and T objects of one image. IoUs, areas and shared pixels are those of masks.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from solo.evaluation.best_f1 import MATCH_IOU, match
from solo.report.matching import Overlaps, shares

# Share of a mask's pixels that lie in another one.
_HALF = 0.5
# IoU from which a prediction is about an object at all, and the share of a whole that a part has.
_TENTH = 0.1


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
    "class.",
    Kind.POOR: "The object that it overlaps most is of its class, but their IoU is only 0.1 to 0.5.",
    Kind.BACKGROUND: "Nothing is there: no IoU with any object reaches 0.1.",
}


class Verdict(NamedTuple):
    """The kinds of one image."""

    predictions: np.ndarray  # (P,) values of Kind
    objects: np.ndarray  # (T,) values of Kind
    matches: np.ndarray  # (P,) the object that each prediction found, -1 for none
    about: np.ndarray  # (P, T) bool, the objects that each prediction found, or is wrong about
    # (P,) the object that each prediction takes for one of another class at an IoU of 0.5, -1 for none: one that
    # no prediction found, and of several the most confident prediction has it.
    mistaken: np.ndarray


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
    own = matches[:, None] == np.arange(ious.shape[1])
    most = ious.max(axis=1, initial=0)
    close, near = most >= MATCH_IOU, most >= _TENTH
    # One row per prediction with its object of the largest IoU; no column where there are none.
    best = (ious == most[:, None]) & (most[:, None] > 0)
    best &= best.cumsum(axis=1) == 1
    right_class = (best & same_class).any(axis=1)

    merged = _merged(overlaps)
    may_be_part = ~(correct | in_crowd | close | merged.any(axis=1))
    split = _split(overlaps, (best & may_be_part[:, None]) | own, scores)
    kinds = _first_that_fits(
        (correct, Kind.CORRECT),
        (in_crowd, Kind.IGNORED),
        (close & right_class, Kind.DUPLICATE),
        (close, Kind.WRONG_CLASS),
        (merged.any(axis=1), Kind.MERGED),
        (split.any(axis=1), Kind.SPLIT),
        (near & right_class, Kind.POOR),
        (near, Kind.WRONG_CLASS),
        default=Kind.BACKGROUND,
    )
    about = _about(kinds, own, best, merged, split)
    wrong = close & (kinds == Kind.WRONG_CLASS)
    mistaken = match(ious, scores, wrong[:, None] & best & ~own.any(axis=0))
    return Verdict(kinds, _object_kinds(kinds, close, own, about), matches, about, mistaken)


def _first_that_fits(*cases: tuple[np.ndarray | np.bool_, Kind], default: Kind) -> np.ndarray:
    """Return, for each element of the conditions, the kind of the first one that is true."""
    return np.select([condition for condition, _ in cases], [kind for _, kind in cases], default)


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
    nested = shares(shared, shared.diagonal()) >= _HALF
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
    return _first_that_fits(
        (own.any(axis=0), Kind.CORRECT),
        (has(wrong & close), Kind.WRONG_CLASS),
        (has((kinds == Kind.MERGED) | (kinds == Kind.CORRECT)), Kind.MERGED),
        (has(kinds == Kind.SPLIT), Kind.SPLIT),
        (has(kinds == Kind.POOR), Kind.POOR),
        (has(wrong), Kind.WRONG_CLASS),
        default=Kind.MISSED,
    )
