"""Decoupled SOLO: a cell's mask is the product of its column's map and its row's map.

Legend: N images, S cells per side, P chosen cells, U columns or rows among them, h, w feature size
of a level.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from detectron2.config import configurable
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from solo.layers.masks import resize_soft_masks
from solo.layers.transfer import to_device
from solo.modeling.heads.base import SOLO_HEAD_REGISTRY, Head, HeadOutputs, resize
from solo.modeling.heads.common import assemble_levels


class Factors(NamedTuple):
    """What the maps of columns and rows are decoded from.

    Attributes:
        x: Per level and image, (C, h, w).
        y: Per level and image, (C, h, w); the same tensors as `x` where one tower serves both.
        maps: At test, what was decoded of one image, by (image, level, "x" or "y", size): the map of each
            column or row, which the candidates of the next chunk may share.
    """

    x: list[Sequence[Tensor]]
    y: list[Sequence[Tensor]]
    maps: dict[tuple[int, int, str, tuple[int, int] | None], dict[int, Tensor]]


class FactorHead(Head):
    """What both decoupled heads share: the predictors and the product.

    Source:
        SOLO section 3.4 (Decoupled SOLO).
    """

    default_collisions = "last"

    @configurable
    def __init__(self, **arguments: Any) -> None:
        """Build the head; the arguments are those of `Head`."""
        super().__init__(**arguments)
        self._add_mask_towers()
        self.category_predictor = self._predictor(self._num_classes)
        self.mask_predictors_x = nn.ModuleList(self._predictor(s) for s in self.grids.sides)
        self.mask_predictors_y = nn.ModuleList(self._predictor(s) for s in self.grids.sides)

    def _add_mask_towers(self) -> None:
        raise NotImplementedError

    def _mask_features(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Run the mask towers on the feature of a level."""
        raise NotImplementedError

    @property
    def level_parameters(self) -> list[nn.Parameter]:
        """The mask predictors; see `Head.level_parameters`."""
        return [*self.mask_predictors_x.parameters(), *self.mask_predictors_y.parameters()]

    def forward(self, features: dict[str, Tensor]) -> HeadOutputs:
        """Run the branches; see `Head.forward`."""
        category_logits, xs, ys = [], [], []
        for feature, side in zip(self.level_features(features), self.grids.sides, strict=True):
            grid = resize(feature, (side, side))
            category_logits.append(self.category_predictor(self.category_tower(grid)))
            x, y = self._mask_features(feature)
            # One by one: the gradient of an index would be as large as that of all images.
            xs.append(x.unbind())
            ys.append(y.unbind())
        return HeadOutputs(category_logits, Factors(xs, ys, {}))

    def soft_masks(
        self,
        outputs: Factors,
        image: int,
        cells: Tensor,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Decode the masks of chosen cells; see `Head.soft_masks`."""
        parts, positions = [], []
        for level, where, local in self.grids.by_level(cells):
            side = self.grids.sides[level]
            row = local.div(side, rounding_mode="floor")
            # Each factor is resized before the product, as in the official test procedure.
            x = self._maps(outputs, "x", image, level, local - row * side, size)
            y = self._maps(outputs, "y", image, level, row, size)
            parts.append(x * y)
            positions.append(where)
        default = tuple(2 * side for side in outputs.x[0][0].shape[-2:])
        return assemble_levels(parts, positions, size or default, outputs.x[0][0].device)

    def _maps(
        self,
        outputs: Factors,
        axis: str,
        image: int,
        level: int,
        index: Tensor,
        size: tuple[int, int] | None,
    ) -> Tensor:
        """Return the maps of chosen columns or rows of a level, (P, H, W) probabilities."""
        feature = getattr(outputs, axis)[level][image]
        predictor = getattr(self, f"mask_predictors_{axis}")[level]

        def decode(chosen: Tensor) -> Tensor:
            chosen = to_device(chosen, feature.device)
            maps = self._decode(feature, predictor.weight[chosen], predictor.bias[chosen])
            return resize_soft_masks(maps, size) if size else maps

        unique, inverse = index.unique(return_inverse=True)
        if torch.is_grad_enabled():
            # The gradient of an index is added up in one thread, that of index_select in all.
            return decode(unique).index_select(0, to_device(inverse, feature.device))
        for key in [key for key in outputs.maps if key[0] != image]:
            del outputs.maps[key]
        known = outputs.maps.setdefault((image, level, axis, size), {})
        if new := [number for number in unique.tolist() if number not in known]:
            known.update(zip(new, decode(unique.new_tensor(new)), strict=True))
        return torch.stack([known[number] for number in index.tolist()])

    def _decode(self, *arguments: Tensor) -> Tensor:
        """Decode maps; what lies between, the largest tensors here, is not kept where memory counts most."""
        if self._tower_settings["recompute"] != "all" or not torch.is_grad_enabled():
            return decode_maps(*arguments)
        return checkpoint(decode_maps, *arguments, use_reentrant=False)


@SOLO_HEAD_REGISTRY.register()
class DecoupledSOLOHead(FactorHead):
    """A tower for the columns, which sees x, and one for the rows, which sees y."""

    def _add_mask_towers(self) -> None:
        self.mask_tower_x = self._tower("x")
        self.mask_tower_y = self._tower("y")

    def _mask_features(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        return self.mask_tower_x(feature), self.mask_tower_y(feature)


@SOLO_HEAD_REGISTRY.register()
class DecoupledSOLOLightHead(FactorHead):
    """One tower, which sees x and y, for the columns and the rows."""

    def _add_mask_towers(self) -> None:
        self.mask_tower = self._tower("xy")

    def _mask_features(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.mask_tower(feature)
        return shared, shared


def decode_maps(feature: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Double the size of the feature of a level and convolve it with some 3x3 kernels.

    The doubling comes last: convolution and resize are linear, so the nine taps of the kernels are applied
    to the small feature, as a convolution of 1x1, and their results enlarged, moved and added up, one axis
    after the other. That is a quarter of the products, and no enlarged feature.

    Args:
        feature: (C, h, w).
        weight: (U, C, 3, 3).
        bias: (U,).

    Returns:
        (U, 2h, 2w) probabilities.
    """
    height, width = feature.shape[-2:]
    taps = weight.permute(2, 3, 0, 1).flatten(end_dim=2) @ feature.flatten(1)
    # In mixed precision, too, they are added up in float32, as a convolution does.
    taps = taps.float()
    taps = resize(taps.view(1, -1, height, width), (height, 2 * width))
    columns = _add_moved(*taps.unflatten(1, (3, 3, -1)).unbind(2), moves=((1, -1), (-1, 1)))
    columns = resize(columns.flatten(1, 2), (2 * height, 2 * width))
    moves = ((0, 0, 1, -1), (0, 0, -1, 1))
    maps = _add_moved(*columns.unflatten(1, (3, -1)).unbind(1), moves=moves)
    return (maps + bias[:, None, None]).sigmoid_()[0]


def _add_moved(
    before: Tensor, at: Tensor, after: Tensor, *, moves: tuple[tuple[int, ...], tuple[int, ...]]
) -> Tensor:
    """Add up three maps, the first moved one pixel ahead, the last one back; zeros come in."""
    return at + F.pad(before, moves[0]) + F.pad(after, moves[1])
