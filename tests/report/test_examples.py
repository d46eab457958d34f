"""Which images and errors are shown."""

import numpy as np
import torch
from detectron2.structures import Instances

from solo.evaluation.coco import predicted_rles
from solo.report.examples import best_and_worst, find_examples
from solo.report.held_out import ImageResult
from solo.report.verdicts import Kind, Verdict


def stripes(count, **fields):
    """So many masks in an image of 8 x 8, each a row that is longer than the one before."""
    masks = torch.zeros(count, 8, 8, dtype=torch.bool)
    for row in range(count):
        masks[row, row, : row + 1] = True
    rles = predicted_rles(Instances((8, 8), pred_masks=masks))
    classes = torch.zeros(count, dtype=torch.int64)
    return Instances((8, 8), pred_rles=rles, pred_classes=classes, **fields)


def result(name, scores, predictions, objects, about, score=0.0):
    about = np.array(about, dtype=bool).reshape(len(predictions), len(objects))
    verdict = Verdict(np.array(predictions), np.array(objects), np.array([]), about, np.array([]))
    return ImageResult(
        file_name=name,
        truth=stripes(len(objects)),
        found=stripes(len(predictions), scores=torch.tensor(scores)),
        verdict=verdict,
        score=score,
    )


def test_examples_are_the_most_confident_of_different_images():
    wrong = Kind.WRONG_CLASS
    images = [
        result("a", [0.5, 0.9], [wrong, wrong], [wrong, wrong], [[1, 0], [0, 1]]),
        result("b", [0.7, 0.6], [wrong, Kind.CORRECT], [Kind.CORRECT], [[1], [1]]),
    ]
    first, second = find_examples(images, wrong, 2)
    assert (first.image.file_name, first.predictions, first.objects) == ("a", [1], [1])
    # With the prediction that is right about the same object.
    assert (second.image.file_name, second.predictions, second.objects) == ("b", [0, 1], [0])
    assert find_examples(images, Kind.SPLIT, 2) == []


def test_examples_of_objects_are_the_largest():
    images = [
        result("a", [], [], [Kind.MISSED, Kind.MISSED], []),
        result("b", [0.9], [Kind.CORRECT], [Kind.CORRECT, Kind.MERGED], [[1, 1]]),
    ]
    (missed,) = find_examples(images, Kind.MISSED, 2)
    assert (missed.predictions, missed.objects) == ([], [1])
    # No prediction is MERGED, as this one is CORRECT for another object: both are shown.
    (merged,) = find_examples(images, Kind.MERGED, 2)
    assert (merged.predictions, merged.objects) == ([0], [0, 1])


def test_best_and_worst_share_no_image():
    nothing = ([], [], [], [])
    images = [result(str(score), *nothing, score=score) for score in (0.2, 0.9, np.nan, 0.5)]
    best, worst = best_and_worst(images, 6)
    assert [image.score for image in best] == [0.9, 0.5]
    assert [image.score for image in worst] == [0.2]
    best, worst = best_and_worst(images, 1)
    assert [image.score for image in best + worst] == [0.9, 0.2]
