"""The unified mask feature of SOLOv2: four levels of the pyramid summed at one stride.

Legend: N images, E channels of the mask feature, h, w its size.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from solo.layers.conv import Norm, conv_norm_relu
from solo.layers.coordinates import with_coordinates
from solo.layers.masks import to_probabilities
from solo.layers.product import product
from solo.modeling.heads.base import resize


class MaskFeatureBranch(nn.Module):
    """Sum the levels of the pyramid into the feature that the dynamic kernels are convolved with.

    Level l passes l times through a convolution and a doubling of its size, level 0 through one
    convolution. The last level sees coordinates.

    Source:
        SOLOv2 section 3.2, "mask feature".
    """

    def __init__(
        self,
        *,
        in_features: Sequence[str],
        in_channels: int,
        conv_dim: int,
        out_channels: int,
        norm: Norm,
        deformable: bool = False,
        modulated: bool = True,
    ) -> None:
        """Build the branch.

        Args:
            in_features: Names of the features, each of twice the stride of the one before.
            in_channels: Channels of each.
            conv_dim: Channels of the convolutions.
            out_channels: E.
            norm: See `conv_norm_relu`.
            deformable: Whether all convolutions are, the last one of 1x1 included.
            modulated: Of deformable ones, whether they are DCNv2.
        """
        super().__init__()
        self.in_features = tuple(in_features)
        conv = partial(conv_norm_relu, norm=norm, deformable=deformable, modulated=modulated)
        self.levels = nn.ModuleList()
        for level in range(len(in_features)):
            # Only the last level sees coordinates: it has the widest view and no place of its own.
            width = in_channels + 2 * self._sees_coordinates(level)
            convs = [conv(width, conv_dim)]
            convs += [conv(conv_dim, conv_dim) for _ in range(level - 1)]
            self.levels.append(nn.ModuleList(convs))
        self.predictor = conv(conv_dim, out_channels, kernel_size=1)

    def _sees_coordinates(self, level: int) -> bool:
        return 0 < level == len(self.in_features) - 1

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Return the mask feature, (N, E, h, w) at the stride of the first feature."""
        total = self.levels[0][0](features[self.in_features[0]])
        for level, name in enumerate(self.in_features[1:], start=1):
            total = total + self._lift(level, features[name])
        return self.predictor(total)

    def _lift(self, level: int, feature: Tensor) -> Tensor:
        if self._sees_coordinates(level):
            feature = with_coordinates(feature)
        for conv in self.levels[level]:
            feature = conv(feature)
            height, width = feature.shape[-2:]
            feature = resize(feature, (2 * height, 2 * width))
        return feature


def decode(mask_feature: Tensor, kernels: Tensor, products: str = "auto") -> Tensor:
    """Convolve the mask feature of one image with dynamic kernels.

    Args:
        mask_feature: (E, h, w).
        kernels: (P, E * k * k), each an (E, k, k) kernel, k odd.
        products: Of kernels of one pixel; see `solo.layers.product`.

    Returns:
        (P, h, w) float32 probabilities.
    """
    channels, height, width = mask_feature.shape
    if len(kernels) == 0:
        return mask_feature.new_zeros((0, height, width), dtype=torch.float32)
    side = round((kernels.shape[1] / channels) ** 0.5)
    if side == 1:
        logits = product(kernels, mask_feature.flatten(1), products)
    else:
        kernels = kernels.reshape(-1, channels, side, side)
        logits = nn.functional.conv2d(mask_feature[None], kernels, padding=side // 2)
    # On what is no view: it is changed in place, forward and backward.
    return to_probabilities(logits).view(len(kernels), height, width)
