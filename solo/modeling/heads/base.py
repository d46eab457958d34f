"""What a head is: a branch network, and the way a chosen cell becomes a soft mask.

Legend: N images, K classes, S cells per side, P chosen cells, H, W soft mask size.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.utils.registry import Registry
from torch import Tensor, nn
from torch.nn import functional as F

from solo.errors import UserError
from solo.layers.conv import Deform, Norm, Tower, conv_tower, init_conv
from solo.modeling.grids import Grids
from solo.modeling.heads.common import level_arguments, prior_bias

SOLO_HEAD_REGISTRY = Registry("SOLO_HEAD")
SOLO_HEAD_REGISTRY.__doc__ = """Heads by name, for MODEL.SOLO.HEAD.

A head is made by `Head(cfg, input_shape)`, input_shape being the backbone's dict of ShapeSpec.
"""


class HeadOutputs(NamedTuple):
    """What a head makes of the features of a batch.

    Attributes:
        category_logits: Per level, (N, K, S, S).
        masks: The head's own: all that `soft_masks` needs.
    """

    category_logits: list[Tensor]
    masks: Any


class Head(nn.Module, ABC):
    """Base of the heads.

    Attributes:
        default_collisions: The policy of the official code for cells that several instances claim.
        grids: The cells of all levels.
        strides: Per level, pixels of the input per pixel of the features that the head sees.
    """

    default_collisions: str

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        num_convs: int,
        conv_dim: int,
        norm: Norm,
        prior_prob: float,
        in_features: Sequence[str],
        in_strides: Sequence[int],
        strides: Sequence[int],
        num_grids: Sequence[int],
        deform: Deform = Deform(),  # noqa: B008  (immutable)
        recompute: str = "none",
    ) -> None:
        """Check that the levels fit together, and build the category tower.

        Args:
            in_channels: Channels of the features.
            num_classes: K.
            num_convs: Convolutions of each tower.
            conv_dim: Their channels.
            norm: See `conv_norm_relu`.
            prior_prob: Foreground probability before training.
            in_features: Name of the feature of each level.
            in_strides: Stride of that feature.
            strides: Stride it is resized to.
            num_grids: Cells per side, S.
            deform: Which convolutions of the towers are deformable.
            recompute: What training computes again in the towers; see `conv_tower`.

        Raises:
            UserError: If the lists are of different lengths.
        """
        super().__init__()
        if not len(in_features) == len(strides) == len(num_grids):
            raise UserError(
                f"MODEL.SOLO has {len(in_features)} IN_FEATURES, {len(strides)} STRIDES and "
                f"{len(num_grids)} NUM_GRIDS; give one of each per level."
            )
        self.in_features = tuple(in_features)
        self.in_strides = tuple(in_strides)
        self.strides = tuple(strides)
        self.grids = Grids(num_grids)
        self._in_channels, self._conv_dim = in_channels, conv_dim
        self._num_classes, self._prior_prob = num_classes, prior_prob
        self._tower_settings = {
            "num_convs": num_convs,
            "norm": norm,
            "deform": deform,
            "recompute": recompute,
        }
        self.category_tower = self._tower()

    @classmethod
    def from_config(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        """Read MODEL.SOLO."""
        return level_arguments(cfg, input_shape)

    def _tower(self, coordinates: str = "", *, more_channels: int = 0) -> Tower:
        """Build a tower on the features; coordinates that it does not append itself are more channels."""
        channels = self._in_channels + more_channels
        return conv_tower(channels, self._conv_dim, coordinates=coordinates, **self._tower_settings)

    def _predictor(self, channels: int, kernel_size: int = 3) -> nn.Conv2d:
        """Build a convolution from a tower to logits, which starts at the prior probability."""
        predictor = nn.Conv2d(self._conv_dim, channels, kernel_size, padding=kernel_size // 2)
        init_conv(predictor, bias=prior_bias(self._prior_prob))
        return predictor

    @property
    def features_read(self) -> set[str]:
        """Names of the features that the head looks at."""
        return set(self.in_features)

    @property
    def mask_strides(self) -> tuple[int, ...]:
        """Per level, the stride of the soft masks in training: twice the size of the features."""
        return tuple(stride // 2 for stride in self.strides)

    @property
    def level_parameters(self) -> list[nn.Parameter]:
        """What a level with no positive cell gives no gradient to: predictors of its own."""
        return []

    @abstractmethod
    def forward(self, features: dict[str, Tensor]) -> HeadOutputs:
        """Run the branches on the features of the backbone."""

    @abstractmethod
    def soft_masks(
        self, outputs: Any, image: int, cells: Tensor, size: tuple[int, int] | None = None
    ) -> Tensor:
        """Decode the masks of chosen cells of one image, differentiably, and of no others.

        Args:
            outputs: `HeadOutputs.masks`.
            image: Index in the batch.
            cells: (P,) cell numbers, on the CPU. Without a `size`, all of levels that share a mask
                stride.
            size: (H, W) to resize to; by default the padded input divided by the mask stride.

        Returns:
            (P, H, W) float32 probabilities.
        """

    def level_features(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Return the feature of each level, resized to the level's stride."""
        first = features[self.in_features[0]]
        height, width = (side * self.in_strides[0] for side in first.shape[-2:])
        levels = []
        for name, in_stride, stride in zip(
            self.in_features, self.in_strides, self.strides, strict=True
        ):
            feature = features[name]
            if in_stride != stride:
                feature = resize(feature, (height // stride, width // stride))
            levels.append(feature)
        return levels


def resize(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N, C, h, w) bilinearly to (N, C, H, W), corners not aligned, as all SOLO code does."""
    return F.interpolate(features, size=size, mode="bilinear", align_corners=False)
