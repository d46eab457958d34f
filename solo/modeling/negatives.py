"""Background cells that learn to show nothing.

Legend: C cells of all levels, P positive pairs.
"""

import zlib

import numpy as np
import torch
from torch import Tensor

from solo.layers.iteration import current_iteration
from solo.modeling.grids import Grids


def draw_negatives(
    free: Tensor, cells: Tensor, grids: Grids, *, per_pair: float, seed: int
) -> Tensor:
    """Draw background cells of an image, on each level in proportion to its pairs.

    They depend on the seed, the iteration and the cells of the pairs, and on no generator: other images of the
    step, workers, parts of a batch and a resumption change nothing.

    Args:
        free: (C,) bool, the cells of the background.
        cells: (P,) those of the pairs.
        grids: The cells of all levels.
        per_pair: Cells per pair; as many as there are, where there are fewer.
        seed: At least 0.

    Returns:
        Numbers of cells, ascending in level, on the CPU.
    """
    random = np.random.default_rng(
        [seed, current_iteration() or 0, zlib.crc32(cells.numpy().tobytes())]
    )
    pairs = grids.levels_of(cells).bincount(minlength=grids.num_levels)
    drawn = []
    for level, wanted in enumerate((pairs * per_pair).round().int().tolist()):
        start, end = grids.offsets[level : level + 2]
        choices = start + free[start:end].numpy().nonzero()[0]
        drawn.append(random.choice(choices, min(wanted, len(choices)), replace=False))
    return torch.from_numpy(np.concatenate(drawn))
