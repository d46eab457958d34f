"""Which class is taken for which, by the verdicts of the images.

Legend: K classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from solo.report.held_out import ImageResult
from solo.report.verdicts import Kind


class Confusion(NamedTuple):
    """A class that is taken for another one."""

    truth: int
    prediction: int
    number: int


def confusion_matrix(images: Sequence[ImageResult], num_classes: int) -> np.ndarray:
    """Count each object by what it is and what it is taken for, and each prediction once.

    An object is taken for the class of the prediction that finds it, or else of the most confident one of
    another class that has an IoU of 0.5 with it. Predictions in crowd regions are left out.

    Args:
        images: Those looked at.
        num_classes: K.

    Returns:
        (K + 1, K + 1) int64, objects by predictions. The last column has the objects that no prediction is
        counted for, the last row the predictions that are counted for no object.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    for image in images:
        verdict, truth = image.verdict, image.truth.pred_classes.numpy()
        taken = np.where(verdict.matches >= 0, verdict.matches, verdict.mistaken)
        # Of the object -1 is the class of none.
        rows = np.append(truth, num_classes)[taken]
        counted = verdict.predictions != Kind.IGNORED
        np.add.at(matrix, (rows[counted], image.found.pred_classes.numpy()[counted]), 1)
        missed = np.setdiff1d(np.arange(len(truth)), taken)
        np.add.at(matrix, (truth[missed], num_classes), 1)
    return matrix


def most_confused(matrix: np.ndarray) -> list[Confusion]:
    """Return the pairs of classes that are confused, the most frequent first; `matrix` as above."""
    wrong = _mistaken(matrix)
    rows, columns = np.nonzero(wrong)
    pairs = map(Confusion, rows.tolist(), columns.tolist(), wrong[rows, columns].tolist())
    return sorted(pairs, key=lambda pair: -pair.number)


def most_confused_classes(matrix: np.ndarray, limit: int) -> list[int]:
    """Return the classes, at most so many, that are most often taken for others or others for them.

    In their own order; of equals those with more objects.
    """
    wrong = _mistaken(matrix)
    confused = wrong.sum(axis=0) + wrong.sum(axis=1)
    order = np.lexsort((-matrix[:-1].sum(axis=1), -confused))
    return sorted(order[:limit].tolist())


def _mistaken(matrix: np.ndarray) -> np.ndarray:
    """Return (K, K) the objects that are taken for another class."""
    classes = matrix[:-1, :-1]
    return classes - np.diag(np.diag(classes))
