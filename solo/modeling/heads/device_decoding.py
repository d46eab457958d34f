"""Soft masks of cells that are known to the device alone, without a question to it.

`Head.soft_masks` asks the CPU which levels the cells are of. Where that would be a wait for the device, or an exported graph
that cannot ask, each level answers for all cells, and a cell takes the answer of its own.

Legend: n cells, S cells per side of a level, H, W soft mask size.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from solo.layers.masks import resize_soft_masks
from solo.layers.transfer import to_device
from solo.modeling.grids import Grids
from solo.modeling.heads.base import Head
from solo.modeling.heads.decoupled import AxisFeatures, DecoupledHead, decode_maps
from solo.modeling.heads.predictors import Predictors
from solo.modeling.heads.solo import Features, SOLOHead
from solo.modeling.heads.solov2 import SOLOv2Head

Decode = Callable[[Tensor], Tensor]
"""From (n,) numbers of cells, on the device, to their (n, H, W) float32 probabilities."""


def device_decoder(head: Head[Any], masks: Any, image: int, size: tuple[int, int]) -> Decode | None:
    """Return what `head.decoder(masks, image, size)` does, for cells on the device.

    Args:
        head: Any.
        masks: `HeadOutputs.masks`.
        image: Index in the batch.
        size: (H, W).

    Returns:
        None of a head whose `soft_masks` is not in `DECODERS`.
    """
    make = DECODERS.get(type(head).soft_masks)
    return make(head, masks, image, size) if make else None


def _of_solo(head: SOLOHead, masks: Features, image: int, size: tuple[int, int]) -> Decode:
    def decode(cells: Tensor) -> Tensor:
        total = cells.new_zeros(1, 1, 1, dtype=torch.float32)
        for level, side in enumerate(head.grids.sides):
            # Looked up: compilers of graphs that calculate with whole numbers are few.
            local = torch.arange(head.grids.num_cells, device=cells.device)
            local = local - head.grids.offsets[level]
            is_here = (local >= 0) & (local < side * side)
            local = torch.where(is_here, local, 0)[cells]
            soft = head.decode(masks[level][image], head.mask_predictors.of(level), local)
            total = total + resize_soft_masks(soft, size) * is_here.float()[cells, None, None]
        return total

    return decode


def _of_decoupled(
    head: DecoupledHead, masks: AxisFeatures, image: int, size: tuple[int, int]
) -> Decode:
    device = masks.x[0][image].device
    columns, rows = (to_device(numbers, device) for numbers in _factors(head.grids))
    x = _all_maps([level[image] for level in masks.x], head.mask_predictors_x, size)
    y = _all_maps([level[image] for level in masks.y], head.mask_predictors_y, size)
    return lambda cells: x[columns[cells]] * y[rows[cells]]


def _of_solov2(head: SOLOv2Head, masks: Any, image: int, size: tuple[int, int]) -> Decode:
    return partial(head.soft_masks, masks, image, size=size)


DECODERS: dict[Callable[..., Tensor], Callable[..., Decode]] = {
    SOLOHead.soft_masks: _of_solo,
    DecoupledHead.soft_masks: _of_decoupled,
    SOLOv2Head.soft_masks: _of_solov2,
}
"""By the `soft_masks` that they stand for: a head with another one, of a subclass too, has to bring its own."""


def _factors(grids: Grids) -> tuple[Tensor, Tensor]:
    """Return the number of the column, and of the row, of each cell, counted over all levels."""
    columns, rows, first = [], [], 0
    for side in grids.sides:
        row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        columns.append(first + column.flatten())
        rows.append(first + row.flatten())
        first += side
    return torch.cat(columns), torch.cat(rows)


def _all_maps(features: Sequence[Tensor], predictors: Predictors, size: tuple[int, int]) -> Tensor:
    """Decode the maps of all columns, or of all rows, of all levels."""
    maps = []
    for level, feature in enumerate(features):
        predictor = predictors.of(level)
        soft = decode_maps(feature, predictor.weight, predictor.bias)
        maps.append(resize_soft_masks(soft, size))
    return torch.cat(maps)
