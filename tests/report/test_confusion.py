"""Which class is taken for which: each object and each prediction once."""

import numpy as np
import torch
from detectron2.structures import Instances

from solo.report.confusion import confusion_matrix, most_confused, most_confused_classes
from solo.report.held_out import ImageResult
from solo.report.verdicts import Kind, Verdict


def result(truth, found, matches, mistaken, kinds, objects=()):
    numbers = [np.array(given, dtype=int) for given in (kinds, objects, matches, mistaken)]
    return ImageResult(
        file_name="a.png",
        truth=Instances((8, 8), pred_classes=torch.tensor(truth, dtype=torch.int64)),
        found=Instances((8, 8), pred_classes=torch.tensor(found, dtype=torch.int64)),
        verdict=Verdict(*numbers[:3], about=np.zeros(0), mistaken=numbers[3]),
        score=0.0,
    )


def test_objects_and_predictions_are_counted_once():
    right, wrong, nothing = Kind.CORRECT, Kind.WRONG_CLASS, Kind.BACKGROUND
    kinds = [right, wrong, wrong, nothing, Kind.IGNORED]
    images = [
        result([0, 1, 2], [0, 2, 2, 1, 0], [0, -1, -1, -1, -1], [-1, 1, -1, -1, -1], kinds),
        result([1], [1], [0], [-1], [right]),
    ]
    matrix = confusion_matrix(images, 3)
    expected = [
        [1, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1],  # missed
        [0, 1, 1, 0],  # no object; the one in a crowd does not count
    ]
    assert matrix.tolist() == expected
    assert most_confused(matrix) == [(1, 2, 1)]


def test_images_without_objects_or_predictions():
    images = [result([], [], [], [], []), result([0], [], [], [], [])]
    assert confusion_matrix(images, 1).tolist() == [[0, 1], [0, 0]]


def test_the_most_confused_classes():
    matrix = np.zeros((6, 6), dtype=int)
    matrix[0, 0], matrix[1, 1] = 50, 40
    matrix[4, 2], matrix[2, 4], matrix[3, 4] = 7, 2, 1
    matrix[0, 5] = matrix[5, 1] = 99  # missed and no object are no confusions
    assert most_confused(matrix) == [(4, 2, 7), (2, 4, 2), (3, 4, 1)]
    assert most_confused_classes(matrix, 2) == [2, 4]
    # Of those that are never confused, the one with most objects: 99 and 50 of class 0.
    assert most_confused_classes(matrix, 4) == [0, 2, 3, 4]
