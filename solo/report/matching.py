"""The pixels that predictions and objects share, and the score of an image.

Legend: P predictions and T objects of one image. IoUs, areas and shared pixels are those of masks.
"""

from dataclasses import dataclass

import numpy as np


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


def shares(shared: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Divide rows of shared pixels by the areas of the masks that the rows are of."""
    return shared / np.maximum(areas, 1)[:, None]
