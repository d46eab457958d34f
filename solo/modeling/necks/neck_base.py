"""What all necks share: they take features of a network below, and give levels p2, p3, ... of equal channels.

Legend: N images, C channels of a level, the k-th level has stride 2 ** k.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise

from detectron2.config import CfgNode
from detectron2.layers import Conv2d, get_norm
from detectron2.modeling import Backbone
from fvcore.nn.weight_init import c2_xavier_fill
from torch import Tensor, nn

from solo.errors import UserError
from solo.modeling.necks.spp import SPP


class Neck(Backbone):
    """A network and what makes a pyramid of its features; its names are those of detectron2's FPN."""

    def __init__(
        self,
        bottom_up: Backbone,
        in_features: Sequence[str],
        *,
        channels: int,
        norm: str = "",
        spp: bool = False,
    ) -> None:
        """Build what is shared.

        Args:
            bottom_up: The network below.
            in_features: Names of its features, from the finest on, each of twice the stride before.
            channels: Of all levels, C.
            norm: Of all convolutions; a name that `get_norm` knows, "" for none.
            spp: Whether the coarsest feature goes through spatial pyramid pooling first.

        Raises:
            UserError: If the strides do not double.
        """
        super().__init__()
        shapes = [bottom_up.output_shape()[name] for name in in_features]
        strides = [shape.stride for shape in shapes]
        if any(after != 2 * before for before, after in pairwise(strides)):
            raise UserError(
                f"MODEL.FPN.IN_FEATURES {', '.join(in_features)} have the strides {strides}; a neck "
                "takes features each of which has twice the stride of the one before."
            )
        self.bottom_up = bottom_up
        self.in_features = tuple(in_features)
        self.levels = [int(math.log2(stride)) for stride in strides]
        self.spp = SPP(shapes[-1].channels, norm) if spp else nn.Identity()
        self._channels, self._norm = channels, norm
        for level, shape in zip(self.levels, shapes, strict=True):
            self.add_module(f"fpn_lateral{level}", self.conv(shape.channels, 1))
        # One more on top, of half the size.
        names = [f"p{level}" for level in (*self.levels, self.levels[-1] + 1)]
        self._out_features = names
        self._out_feature_channels = dict.fromkeys(names, channels)
        self._out_feature_strides = {name: 2 ** int(name[1:]) for name in names}

    @property
    def size_divisibility(self) -> int:
        """What the sides of an image have to be multiples of."""
        return int(2 ** self.levels[-1])

    def conv(self, in_channels: int, kernel_size: int, stride: int = 1) -> Conv2d:
        """Build a convolution to the channels of the levels, with the normalisation of the neck."""
        conv = Conv2d(
            in_channels,
            self._channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            bias=not self._norm,
            norm=get_norm(self._norm, self._channels),
        )
        c2_xavier_fill(conv)
        return conv

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the levels of (N, 3, H, W) images, by name."""
        below = self.bottom_up(images)
        features = [below[name] for name in self.in_features]
        features[-1] = self.spp(features[-1])
        laterals = [
            self.get_submodule(f"fpn_lateral{level}")(feature)
            for level, feature in zip(self.levels, features, strict=True)
        ]
        return dict(zip(self._out_features, self.combine(laterals), strict=True))

    @abstractmethod
    def combine(self, laterals: list[Tensor]) -> list[Tensor]:
        """Make the levels, one more than there are features, of (N, C, H, W) ones from the finest on."""


def pyramid_features(cfg: CfgNode, bottom_up: Backbone) -> list[str]:
    """Return MODEL.FPN.IN_FEATURES, or all features where that is empty.

    Raises:
        UserError: If the network has no feature of such a name.
    """
    known = list(bottom_up.output_shape())
    wanted = list(cfg.MODEL.FPN.IN_FEATURES) or known
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(
            f"MODEL.FPN.IN_FEATURES names {', '.join(unknown)}; the backbone gives {', '.join(known)}."
        )
    return wanted
