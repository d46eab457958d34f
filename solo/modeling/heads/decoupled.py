"""Decoupled SOLO: a cell's mask is the product of its column's map and its row's map.

Legend: N images, S cells per side, P chosen cells, U columns or rows among them, h, w feature size
of a level.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from detectron2.config import configurable
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from solo.config.choices import Collisions, Recompute
from solo.layers.masks import resize_soft_masks
from solo.layers.transfer import to_device
from solo.modeling.heads.base import (
    SOLO_HEAD_REGISTRY,
    Head,
    HeadOutputs,
    resize,
)
from solo.modeling.heads.head_config import HeadConfig
from solo.modeling.heads.predictors import Predictor, Predictors


class AxisFeatures(NamedTuple):
    """What the maps of columns and rows are decoded from.

    Attributes:
        x: Per level and image, (C, h, w).
        y: Per level and image, (C, h, w); the same tensors as `x` where one tower serves both.
    """

    x: list[Sequence[Tensor]]
    y: list[Sequence[Tensor]]


MapCache = dict[tuple[nn.Module, int, int], Tensor]
"""Maps of one image at one size, by branch, level and number of the column or row."""


class AxisBranch(Predictors):
    """Decodes the maps of columns, or those of rows: each level's predictor has a channel for each."""

    def __init__(self, predictors: Iterable[Predictor], *, recompute: bool) -> None:
        """Take the predictors.

        Args:
            predictors: Of each level.
            recompute: Whether training decodes again on the way back: what lies between are the largest
                tensors of the head.
        """
        super().__init__(predictors)
        self.recompute = recompute

    def forward(
        self,
        feature: Tensor,
        level: int,
        index: Tensor,
        size: tuple[int, int] | None = None,
        known: MapCache | None = None,
    ) -> Tensor:
        """Decode the maps of chosen columns or rows of one image.

        Args:
            feature: (C, h, w) of the level.
            level: Its index.
            index: (P,) numbers of columns or rows, on the CPU.
            size: (H, W) to resize to; by default twice that of the feature.
            known: What was decoded before, which gains what is new. Not used where gradients flow.

        Returns:
            (P, H, W) probabilities.
        """
        unique, inverse = index.unique(return_inverse=True)
        if known is None or torch.is_grad_enabled():
            # The gradient of an index is added up in one thread, that of index_select in all.
            maps = self._decode(feature, level, unique, size, decode_maps)
            return maps.index_select(0, to_device(inverse, feature.device))
        if new := [number for number in unique.tolist() if (self, level, number) not in known]:
            maps = self._decode(feature, level, unique.new_tensor(new), size, decode_maps)
            known.update(zip([(self, level, number) for number in new], maps, strict=True))
        return torch.stack([known[self, level, number] for number in index.tolist()])

    def logits(self, feature: Tensor, level: int, index: Tensor) -> Tensor:
        """Decode as `forward` does, but return the (P, 2h, 2w) logits."""
        unique, inverse = index.unique(return_inverse=True)
        maps = self._decode(feature, level, unique, None, decode_map_logits)
        return maps.index_select(0, to_device(inverse, feature.device))

    def _decode(
        self,
        feature: Tensor,
        level: int,
        chosen: Tensor,
        size: tuple[int, int] | None,
        decode: Callable[[Tensor, Tensor, Tensor], Tensor],
    ) -> Tensor:
        predictor, chosen = self.of(level), to_device(chosen, feature.device)
        arguments = feature, predictor.weight[chosen], predictor.bias[chosen]
        if self.recompute and torch.is_grad_enabled():
            maps = checkpoint(decode, *arguments, use_reentrant=False)
        else:
            maps = decode(*arguments)
        return resize_soft_masks(maps, size) if size else maps


class DecoupledHead(Head[AxisFeatures]):
    """What both decoupled heads share: the predictors and the product.

    Source:
        SOLO section 3.4 (Decoupled SOLO).
    """

    default_collisions = Collisions.LAST
    has_quality_branch = True
    reads_levels_only = True

    @configurable
    def __init__(self, config: HeadConfig) -> None:
        """Build the branches."""
        super().__init__(config)
        self._add_mask_towers()
        self.category_predictor = self._category_predictor()
        self.mask_predictors_x = self._axis_branch()
        self.mask_predictors_y = self._axis_branch()
        self.quality_predictor = self._quality_predictor()

    def _axis_branch(self) -> AxisBranch:
        predictors = [self._predictor(side) for side in self.grids.sides]
        return AxisBranch(predictors, recompute=self.config.recompute == Recompute.ALL)

    @abstractmethod
    def _add_mask_towers(self) -> None:
        """Build the mask towers."""

    @abstractmethod
    def _mask_features(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Run the mask towers on the feature of a level."""

    @property
    def level_parameters(self) -> list[nn.Parameter]:
        """The mask predictors; see `Head.level_parameters`."""
        return [*self.mask_predictors_x.parameters(), *self.mask_predictors_y.parameters()]

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """The category predictor; see `Head.category_parameters`."""
        return list(self.category_predictor.parameters())

    def forward(self, features: dict[str, Tensor]) -> HeadOutputs[AxisFeatures]:
        """Run the branches; see `Head.forward`."""
        category_logits: list[Tensor] = []
        quality_logits: list[Tensor] = []
        masks = AxisFeatures([], [])
        for feature, side in zip(self.level_features(features), self.grids.sides, strict=True):
            grid = resize(feature, (side, side))
            cells = self.category_tower(grid)
            category_logits.append(self.category_predictor(cells))
            # The only tower on the grid: that of the masks has no features of a cell.
            quality_logits += self._quality_logits(cells)
            x, y = self._mask_features(feature)
            # One by one: the gradient of an index would be as large as that of all images.
            masks.x.append(x.unbind())
            masks.y.append(y.unbind())
        return HeadOutputs(category_logits, masks, quality_logits)

    def soft_masks(
        self,
        masks: AxisFeatures,
        image: int,
        cells: Tensor,
        size: tuple[int, int] | None = None,
        known: MapCache | None = None,
    ) -> Tensor:
        """Decode the masks of chosen cells; see `Head.soft_masks`, and `decoder` for `known`."""

        def decode(level: int, local: Tensor) -> tuple[Tensor, ...]:
            column, row = self._place(level, local)
            # Each factor is resized before the product, as in the official test procedure.
            x: Tensor = self.mask_predictors_x(masks.x[level][image], level, column, size, known)
            y: Tensor = self.mask_predictors_y(masks.y[level][image], level, row, size, known)
            return (x * y,)

        return self._by_level(cells, decode, size, finest=masks.x[0][0])[0]

    def soft_masks_and_logits(
        self, masks: AxisFeatures, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode the masks of chosen cells; see `Head.soft_masks_and_logits`."""

        def decode(level: int, local: Tensor) -> tuple[Tensor, ...]:
            column, row = self._place(level, local)
            x = self.mask_predictors_x.logits(masks.x[level][image], level, column)
            y = self.mask_predictors_y.logits(masks.y[level][image], level, row)
            maps = x.sigmoid(), y.sigmoid(), product_logits(x, y)
            x, y, logits = (resize_soft_masks(part, size) if size else part for part in maps)
            return x * y, logits

        soft, logits = self._by_level(cells, decode, size, finest=masks.x[0][0])
        return soft, logits

    def _place(self, level: int, local: Tensor) -> tuple[Tensor, Tensor]:
        """Return column and row of cells of a level."""
        side = self.grids.sides[level]
        row = local.div(side, rounding_mode="floor")
        return local - row * side, row

    def decoder(
        self, masks: AxisFeatures, image: int, size: tuple[int, int] | None = None
    ) -> Callable[[Tensor], Tensor]:
        """Return `soft_masks` with a memory: the cells of several calls share columns and rows."""
        return partial(self.soft_masks, masks, image, size=size, known={})


@SOLO_HEAD_REGISTRY.register()
class DecoupledSOLOHead(DecoupledHead):
    """A tower for the columns, which sees x, and one for the rows, which sees y."""

    def _add_mask_towers(self) -> None:
        self.mask_tower_x = self._tower("x")
        self.mask_tower_y = self._tower("y")

    def _mask_features(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        return self.mask_tower_x(feature), self.mask_tower_y(feature)


@SOLO_HEAD_REGISTRY.register()
class DecoupledSOLOLightHead(DecoupledHead):
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
    return decode_map_logits(feature, weight, bias).sigmoid_()


def decode_map_logits(feature: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return what :func:`decode_maps` makes probabilities of."""
    height, width = feature.shape[-2:]
    taps = weight.permute(2, 3, 0, 1).flatten(end_dim=2) @ feature.flatten(1)
    # In mixed precision, too, they are added up in float32, as a convolution does.
    taps = taps.float()
    taps = resize(taps.view(1, -1, height, width), (height, 2 * width))
    columns = _add_moved(*taps.unflatten(1, (3, 3, -1)).unbind(2), moves=((1, -1), (-1, 1)))
    columns = resize(columns.flatten(1, 2), (2 * height, 2 * width))
    moves = ((0, 0, 1, -1), (0, 0, -1, 1))
    maps = _add_moved(*columns.unflatten(1, (3, -1)).unbind(1), moves=moves)
    return maps[0] + bias[:, None, None]


def product_logits(x: Tensor, y: Tensor) -> Tensor:
    """Return the logits of the products of probabilities: -log(e^-x + e^-y + e^-(x + y)), exact for large ones, too.

    Args:
        x: Logits of any shape.
        y: Of the same.
    """
    return -torch.logaddexp(torch.logaddexp(-x, -y), -(x + y))


def _add_moved(
    before: Tensor, at: Tensor, after: Tensor, *, moves: tuple[tuple[int, ...], tuple[int, ...]]
) -> Tensor:
    """Add up three maps, the first moved one pixel ahead, the last one back; zeros come in."""
    return at + F.pad(before, moves[0]) + F.pad(after, moves[1])
