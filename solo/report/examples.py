"""Which images and errors of a model to show: the best, the worst, the clearest."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pycocotools.mask as mask_util

from solo.report.held_out import ImageResult
from solo.report.verdicts import Kind
from solo.structures.run_lengths import rles_of


class Example(NamedTuple):
    """Predictions and objects that show an error."""

    image: ImageResult
    predictions: list[int]
    objects: list[int]


def find_examples(images: Sequence[ImageResult], kind: Kind, number: int) -> list[Example]:
    """Return the clearest errors of a kind: the most confident predictions, then the largest objects.

    Each with the objects it is about, and with all predictions about these.

    Args:
        images: Those looked at.
        kind: Of the errors.
        number: How many at most, each of another image.
    """
    by_prediction, by_object = [], []
    for image in images:
        about, rles = image.verdict.about, rles_of(image.truth)
        for index in np.flatnonzero(image.verdict.predictions == kind).tolist():
            found = _example(image, [index], about[index])
            by_prediction.append((float(image.found.scores[index]), found))
        for index in np.flatnonzero(image.verdict.objects == kind).tolist():
            objects = about[about[:, index]].any(axis=0)
            objects[index] = True
            area = float(mask_util.area(rles[index]))
            by_object.append((area, _example(image, [], objects)))
    ranked = [
        example
        for examples in (by_prediction, by_object)
        for _, example in sorted(examples, key=lambda pair: -pair[0])
    ]
    first_of_image: dict[str, Example] = {}
    for example in ranked:
        first_of_image.setdefault(example.image.file_name, example)
    return list(first_of_image.values())[:number]


def best_and_worst(
    images: Sequence[ImageResult], number: int
) -> tuple[list[ImageResult], list[ImageResult]]:
    """Return the images of the highest and of the lowest score, no image twice.

    Of equal scores, those with more objects come first.

    Args:
        images: Those looked at. Without objects and predictions they have no score, and are not taken.
        number: How many of each at most.
    """
    scored = [image for image in images if not math.isnan(image.score)]
    best = sorted(scored, key=lambda image: (-image.score, -len(image.truth)))
    best = best[: min(number, math.ceil(len(scored) / 2))]
    taken = {image.file_name for image in best}
    rest = [image for image in scored if image.file_name not in taken]
    worst = sorted(rest, key=lambda image: (image.score, -len(image.truth)))
    return best, worst[:number]


def _example(image: ImageResult, predictions: Sequence[int], objects: np.ndarray) -> Example:
    """Add the other predictions about these objects, (T,) bool."""
    others = np.flatnonzero(image.verdict.about[:, objects].any(axis=1))
    rows = sorted({*predictions, *others.tolist()})
    return Example(image, rows, np.flatnonzero(objects).tolist())
