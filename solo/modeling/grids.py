"""The cells of all levels under one number: level by level, row by row.

A cell number is what targets, heads and inference hand each other.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class Grids:
    """The grids of all levels.

    Attributes:
        sides: Cells per side, S, of each level.
        offsets: Number of the first cell of each level, and the number of cells at the end.
    """

    def __init__(self, sides: Sequence[int]) -> None:
        """Number the cells of square grids with these sides."""
        self.sides = tuple(sides)
        self.offsets = [0]
        for side in self.sides:
            self.offsets.append(self.offsets[-1] + side * side)
        self._ends = torch.tensor(self.offsets[1:])

    @property
    def num_levels(self) -> int:
        """How many levels there are."""
        return len(self.sides)

    @property
    def num_cells(self) -> int:
        """How many cells all levels have together."""
        return self.offsets[-1]

    def levels_of(self, cells: Tensor) -> Tensor:
        """Return the level of each cell, on the CPU: (P,) -> (P,) int64."""
        return torch.bucketize(cells, self._ends, right=True)

    def by_level(self, cells: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield, for each level with any of the cells, what of them is its.

        Yields:
            level: Its index.
            positions: (p,) where its cells stand in `cells`.
            local: (p,) their numbers within the level, row * S + column.
        """
        levels = self.levels_of(cells)
        for level in levels.unique().tolist():
            positions = (levels == level).nonzero()[:, 0]
            yield level, positions, cells[positions] - self.offsets[level]
