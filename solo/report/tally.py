"""How many predictions and objects are of each kind, over all images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from solo.report.held_out import ImageResult
from solo.report.verdicts import Kind

# Kinds that only objects, or only predictions, can be of.
_OF_ONE_SIDE = {
    Kind.MISSED: "objects",
    Kind.DUPLICATE: "predictions",
    Kind.BACKGROUND: "predictions",
}


class Tally(NamedTuple):
    """Counts by `Kind`."""

    predictions: list[int]
    objects: list[int]

    @property
    def correct(self) -> int:
        """Objects found, and predictions that found them."""
        return self.objects[Kind.CORRECT]

    @property
    def num_objects(self) -> int:
        """All objects."""
        return sum(self.objects)

    @property
    def shown(self) -> int:
        """All predictions but those in crowd regions."""
        return sum(self.predictions) - self.ignored

    @property
    def ignored(self) -> int:
        """Predictions in crowd regions."""
        return self.predictions[Kind.IGNORED]

    def of(self, kind: Kind) -> dict[str, int]:
        """Return how many "predictions" and "objects" are of a kind, without what cannot be of it."""
        counts = {"predictions": self.predictions[kind], "objects": self.objects[kind]}
        side = _OF_ONE_SIDE.get(kind)
        return {side: counts[side]} if side else counts


def tally(images: Sequence[ImageResult]) -> Tally:
    """Count the kinds of images, of one at least."""
    predictions = np.concatenate([image.verdict.predictions for image in images])
    objects = np.concatenate([image.verdict.objects for image in images])
    return Tally(
        np.bincount(predictions, minlength=len(Kind)).tolist(),
        np.bincount(objects, minlength=len(Kind)).tolist(),
    )
