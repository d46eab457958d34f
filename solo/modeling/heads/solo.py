"""SOLO: every cell has a channel of its own in the mask branch.

Legend: N images, S cells per side, P chosen cells, h, w feature size of a level.
"""

from collections.abc import Sequence
from typing import Any

from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from torch import Tensor, nn
from torch.nn import functional as F

from solo.layers.conv import Deform, Norm, conv_tower, init_conv
from solo.layers.coordinates import with_coordinates
from solo.layers.masks import resize_soft_masks
from solo.modeling.heads.base import SOLO_HEAD_REGISTRY, Head, HeadOutputs, resize
from solo.modeling.heads.common import (
    assemble_levels,
    category_predictor,
    level_arguments,
    prior_bias,
)


@SOLO_HEAD_REGISTRY.register()
class SOLOHead(Head):
    """Category branch and mask branch, which has S * S output channels per level.

    The output channels are never computed all: `soft_masks` convolves with the rows of the chosen
    cells only, before the doubling of the size instead of after it. The two are linear and each
    output pixel's weights add up to one, so their order does not matter.

    Source:
        SOLO section 3.2.
    """

    default_collisions = "last"

    @configurable
    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        num_convs: int,
        conv_dim: int,
        norm: Norm,
        prior_prob: float,
        deform: Deform = Deform(),  # noqa: B008  (immutable)
        recompute: bool = False,
        in_features: Sequence[str],
        in_strides: Sequence[int],
        strides: Sequence[int],
        num_grids: Sequence[int],
    ) -> None:
        """Build the head.

        Args:
            in_channels: Channels of the features.
            num_classes: K.
            num_convs: Convolutions of each tower.
            conv_dim: Their channels.
            norm: See `conv_norm_relu`.
            prior_prob: Foreground probability before training.
            deform: Which convolutions of the towers are deformable.
            recompute: Whether training trades time for memory in the towers; see `ConvTower`.
            in_features: See `Head`, as for the rest.
            in_strides: See `Head`.
            strides: See `Head`.
            num_grids: See `Head`.
        """
        super().__init__(
            in_features=in_features, in_strides=in_strides, strides=strides, num_grids=num_grids
        )
        tower = {
            "num_convs": num_convs,
            "norm": norm,
            "deform": deform,
            "recompute": recompute,
        }
        self.category_tower = conv_tower(in_channels, conv_dim, **tower)
        self.mask_tower = conv_tower(in_channels + 2, conv_dim, **tower)
        self.category_predictor = category_predictor(conv_dim, num_classes, prior_prob)
        self.mask_predictors = nn.ModuleList(
            nn.Conv2d(conv_dim, side * side, 1) for side in self.grids.sides
        )
        for predictor in self.mask_predictors:
            init_conv(predictor, bias=prior_bias(prior_prob))

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        """Read MODEL.SOLO."""
        return level_arguments(cfg, input_shape)

    @property
    def mask_strides(self) -> tuple[int, ...]:
        """Masks have twice the size of their level's feature."""
        return tuple(stride // 2 for stride in self.strides)

    def forward(self, features: dict[str, Tensor]) -> HeadOutputs:
        """Run the branches; see `Head.forward`. The masks are the (N, C, h, w) of each level."""
        category_logits, mask_features = [], []
        for feature, side in zip(self.level_features(features), self.grids.sides, strict=True):
            grid = resize(feature, (side, side))
            category_logits.append(self.category_predictor(self.category_tower(grid)))
            mask_features.append(self.mask_tower(with_coordinates(feature)))
        return HeadOutputs(category_logits, mask_features)

    def soft_masks(
        self,
        outputs: list[Tensor],
        image: int,
        cells: Tensor,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Decode the masks of chosen cells; see `Head.soft_masks`."""
        parts, positions = [], []
        for level, where, local in self.grids.by_level(cells):
            masks = self._decode(outputs[level][image], self.mask_predictors[level], local)
            parts.append(resize_soft_masks(masks, size) if size else masks)
            positions.append(where)
        default = tuple(2 * side for side in outputs[0].shape[-2:])
        return assemble_levels(parts, positions, size or default, cells.device)

    @staticmethod
    def _decode(feature: Tensor, predictor: nn.Conv2d, cells: Tensor) -> Tensor:
        """Turn the feature of one level, (C, h, w), into (P, 2h, 2w) probabilities."""
        logits = F.conv2d(feature[None], predictor.weight[cells], predictor.bias[cells])
        height, width = feature.shape[-2:]
        return resize(logits, (2 * height, 2 * width))[0].float().sigmoid()
