"""The verdicts on an image's predictions and objects, as the marks that pictures have."""

import numpy as np

from solo.report.verdicts import Kind, Verdict
from solo.visualization.marks import Mark, Marks

_OF_PREDICTIONS = {
    Kind.CORRECT: Mark.FOUND,
    Kind.WRONG_CLASS: Mark.WRONG_CLASS,
    Kind.POOR: Mark.WRONG_MASK,
    Kind.MERGED: Mark.WRONG_MASK,
    Kind.SPLIT: Mark.WRONG_MASK,
    Kind.DUPLICATE: Mark.NO_OBJECT,
    Kind.BACKGROUND: Mark.NO_OBJECT,
}
# Those that are found need none: the others are looked for.
_OF_OBJECTS = {
    Kind.WRONG_CLASS: Mark.WRONG_CLASS,
    Kind.POOR: Mark.WRONG_MASK,
    Kind.MERGED: Mark.WRONG_MASK,
    Kind.SPLIT: Mark.WRONG_MASK,
    Kind.MISSED: Mark.MISSED,
}


def marks_of(verdict: Verdict) -> Marks:
    """Return the mark of each object and prediction, and which of them belong together."""
    number = verdict.about.shape[1]
    first = np.where(verdict.about, np.arange(number), number).min(axis=1, initial=number)
    about = np.where(first < number, first, -1)
    return Marks(
        [_OF_OBJECTS.get(Kind(kind)) for kind in verdict.objects],
        [_OF_PREDICTIONS.get(Kind(kind)) for kind in verdict.predictions],
        np.where(verdict.matches >= 0, verdict.matches, about).tolist(),
    )
