"""Soft masks of a fixed number of cells, without a loop over the levels that happen to be among them.

A traced graph cannot ask which levels the cells are of, as `Head.soft_masks` does. So each level answers
for all cells, and a cell takes the answer of its own.

Legend: n cells, S cells per side of a level, H, W soft mask size.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from solo.layers.masks import resize_soft_masks
from solo.modeling.grids import Grids
from solo.modeling.heads import Head, SOLOHead
from solo.modeling.heads.decoupled import AxisFeatures, DecoupledHead, decode_maps
from solo.modeling.heads.predictors import Predictors
from solo.modeling.heads.solo import Features


@singledispatch
def decode_cells(head: Head[Any], masks: Any, cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Decode the masks of cells of the only image; equal to `head.soft_masks(masks, 0, cells, size)`.

    Args:
        head: Of heads that are not known here, `soft_masks` is traced as it is, which has to be possible.
        masks: `HeadOutputs.masks`.
        cells: (n,) cell numbers.
        size: (H, W).

    Returns:
        (n, H, W) float32 probabilities.
    """
    return head.soft_masks(masks, 0, cells, size)


@decode_cells.register
def _(head: SOLOHead, masks: Features, cells: Tensor, size: tuple[int, int]) -> Tensor:
    total = cells.new_zeros(1, 1, 1, dtype=torch.float32)
    for level, side in enumerate(head.grids.sides):
        # Looked up: compilers of graphs that calculate with whole numbers are few.
        local = torch.arange(head.grids.num_cells, device=cells.device) - head.grids.offsets[level]
        is_here = (local >= 0) & (local < side * side)
        local = torch.where(is_here, local, 0)[cells]
        soft = head.decode(masks[level][0], head.mask_predictors.of(level), local)
        total = total + resize_soft_masks(soft, size) * is_here.float()[cells, None, None]
    return total


@decode_cells.register
def _(head: DecoupledHead, masks: AxisFeatures, cells: Tensor, size: tuple[int, int]) -> Tensor:
    columns, rows = _factors(head.grids)
    x = _all_maps(masks.x, head.mask_predictors_x, size)
    y = _all_maps(masks.y, head.mask_predictors_y, size)
    return x[columns.to(cells.device)[cells]] * y[rows.to(cells.device)[cells]]


def _factors(grids: Grids) -> tuple[Tensor, Tensor]:
    """Return the number of the column, and of the row, of each cell, counted over all levels."""
    columns, rows, first = [], [], 0
    for side in grids.sides:
        row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        columns.append(first + column.flatten())
        rows.append(first + row.flatten())
        first += side
    return torch.cat(columns), torch.cat(rows)


def _all_maps(
    features: Sequence[Sequence[Tensor]], predictors: Predictors, size: tuple[int, int]
) -> Tensor:
    """Decode the maps of all columns, or of all rows, of all levels."""
    maps = []
    for level, feature in enumerate(features):
        predictor = predictors.of(level)
        soft = decode_maps(feature[0], predictor.weight, predictor.bias)
        maps.append(resize_soft_masks(soft, size))
    return torch.cat(maps)
