"""Two bilinear resizing steps along one axis as one sum: what a part of the result needs can be had by itself.

Legend: k pixels of a soft mask for each one of the image, n pixels of the image along an axis.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from solo.layers.masks import bounds


class Axis(NamedTuple):
    """Both resizing steps along one axis: k pixels of the soft mask for each one of the image.

    Attributes:
        sources: (k, size of the image), which ones, in ascending order.
        weights: (k, size of the image) float32.
        reach: (2, size of the soft mask), the first pixel of the image that each one has a part in,
            and one past the last.
    """

    sources: np.ndarray
    weights: np.ndarray
    reach: np.ndarray

    def part(self, begin: int, end: int) -> tuple[slice, np.ndarray, np.ndarray]:
        """Return which soft pixels some of the image come from, and of these the sources and weights."""
        sources = self.sources[:, begin:end]
        first = sources[0, 0]
        return slice(first, sources[-1, -1] + 1), sources - first, self.weights[:, begin:end]


# Images of a data set share few sizes.
@lru_cache(maxsize=64)
def resizing_axis(soft: int, padded: int, resized: int, original: int) -> Axis:
    """Build both resizing steps along one axis: from what they make of the identity."""
    matrix = F.interpolate(torch.eye(soft)[None], size=padded, mode="linear", align_corners=False)
    matrix = F.interpolate(
        matrix[..., :resized], size=original, mode="linear", align_corners=False
    )[0]
    first, end = bounds(matrix.t() > 0)
    wanted = first + torch.arange(int((end - first).max()))[:, None]
    sources = wanted.clamp(max=soft - 1)
    weights = matrix.gather(0, sources) * (wanted == sources)
    reach = torch.stack(bounds(matrix > 0)).numpy()
    # What lies in the padding reaches beyond the image.
    reach[:, reach[1] == 0] = original
    return Axis(sources.numpy(), weights.numpy(), reach)


def weighted_sums(values: np.ndarray, sources: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Add up rows, k for each one of the result.

    Args:
        values: (m, c) float32.
        sources: (k, n) indices of rows.
        weights: (k, n) float32.

    Returns:
        (n, c) float32.
    """
    sums = values[sources[0]]
    sums *= weights[0][:, None]
    part = np.empty_like(sums)
    for source, weight in zip(sources[1:], weights[1:], strict=True):
        # No index is out of bounds; but where one might be, NumPy writes a copy first.
        np.take(values, source, axis=0, out=part, mode="clip")
        part *= weight[:, None]
        sums += part
    return sums
