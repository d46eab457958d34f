"""The unified mask feature of SOLOv2: four levels of the pyramid summed at one stride.

Legend: N images, E channels of the mask feature, h, w its size.
"""

from collections.abc import Sequence
from functools import partial, reduce

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from solo.config.choices import Products
from solo.layers.conv import Norm, conv_norm_relu
from solo.layers.coordinates import Encoding
from solo.layers.masks import to_probabilities
from solo.layers.product import product
from solo.modeling.heads.base import resize

_LINEAR = Encoding()


class MaskFeatureBranch(nn.Module):
    """Sum the levels of the pyramid into the feature that the dynamic kernels are convolved with.

    Level l passes l times through a convolution and a doubling of its size, level 0 through one
    convolution. The last level sees coordinates.

    Source:
        SOLOv2 section 3.2, "mask feature". Finer ones by sub-pixel convolution (arXiv 1609.05158), which begins
        as an enlargement of pixels (arXiv 1707.02937).
    """

    def __init__(
        self,
        *,
        in_features: Sequence[str],
        in_channels: int,
        conv_dim: int,
        out_channels: int,
        norm: Norm,
        encoding: Encoding = _LINEAR,
        deformable: bool = False,
        modulated: bool = True,
        upsample: int = 1,
    ) -> None:
        """Build the branch.

        Args:
            in_features: Names of the features, each of twice the stride of the one before.
            in_channels: Channels of each.
            conv_dim: Channels of the convolutions.
            out_channels: E.
            norm: See `conv_norm_relu`.
            encoding: Of the coordinates.
            deformable: Whether all convolutions are, the last one of 1x1 included.
            modulated: Of deformable ones, whether they are DCNv2.
            upsample: Pixels per side that the last convolution makes of one, 1 or 2.
        """
        super().__init__()
        self.upsample = upsample
        self.in_features = tuple(in_features)
        conv = partial(conv_norm_relu, norm=norm, deformable=deformable, modulated=modulated)
        self.levels = nn.ModuleList()
        for level in range(len(in_features)):
            # Only the last level sees coordinates: it has the widest view and no place of its own.
            is_last = 0 < level == len(in_features) - 1
            seen = encoding if is_last else None
            convs = [conv(in_channels + (seen.channels() if seen else 0), conv_dim)]
            convs += [conv(conv_dim, conv_dim) for _ in range(level - 1)]
            self.levels.append(_Level(convs, doubles=level > 0, encoding=seen))
        # A channel of each pixel that one is divided into, in a row, as pixel_shuffle wants them: alike at first.
        self.predictor = conv(conv_dim, out_channels * upsample**2, kernel_size=1)
        weight = self.predictor.get_parameter("weight").data
        weight.copy_(weight[:: upsample**2].repeat_interleave(upsample**2, dim=0))

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Return the mask feature, (N, E, h, w) at the stride of the first feature over `upsample`."""
        return self.predict(self.add_levels(features))

    def predict(self, total: Tensor) -> Tensor:
        """Turn what `add_levels` returns into the mask feature."""
        mask_feature: Tensor = self.predictor(total)
        return mask_feature if self.upsample == 1 else pixel_shuffle(mask_feature, self.upsample)

    def add_levels(self, features: dict[str, Tensor]) -> Tensor:
        """Return what the mask feature is predicted from, (N, channels of the convolutions, h, w)."""
        levels = zip(self.in_features, self.levels, strict=True)
        total: Tensor = reduce(torch.add, (level(features[name]) for name, level in levels))
        return total


class _Level(nn.ModuleList):
    """The convolutions of a level of the pyramid, and what brings it to the size of the finest."""

    def __init__(
        self, convs: Sequence[nn.Module], *, doubles: bool, encoding: Encoding | None
    ) -> None:
        """Take the convolutions, after each of which the size may be doubled, and coordinates that they see."""
        super().__init__(convs)
        self.doubles = doubles
        self.encoding = encoding

    def forward(self, feature: Tensor) -> Tensor:
        """Turn the (N, C, H, W) of the level into a term of the sum."""
        if self.encoding:
            feature = self.encoding.append(feature)
        for conv in self:
            feature = conv(feature)
            if self.doubles:
                height, width = feature.shape[-2:]
                feature = resize(feature, (2 * height, 2 * width))
        return feature


def decode(
    mask_feature: Tensor, kernels: Tensor, kernel_size: int, products: Products = Products.AUTO
) -> Tensor:
    """Convolve the mask feature of one image with dynamic kernels.

    Args:
        mask_feature: (E, h, w).
        kernels: (P, E * k * k), each an (E, k, k) kernel.
        kernel_size: k, odd.
        products: Of kernels of one pixel; see `solo.layers.product`.

    Returns:
        (P, h, w) float32 probabilities.
    """
    logits = decode_logits(mask_feature, kernels, kernel_size, products)
    # On what is no view: it is changed in place, forward and backward.
    return to_probabilities(logits).view(len(kernels), *mask_feature.shape[1:])


def decode_logits(
    mask_feature: Tensor, kernels: Tensor, kernel_size: int, products: Products
) -> Tensor:
    """Return what :func:`decode` makes probabilities of, in a shape with as many numbers as (P, h, w)."""
    channels, height, width = mask_feature.shape
    if len(kernels) == 0:
        return mask_feature.new_zeros((0, height, width), dtype=torch.float32)
    if kernel_size == 1:
        return product(kernels, mask_feature.flatten(1), products)
    kernels = kernels.reshape(-1, channels, kernel_size, kernel_size)
    return nn.functional.conv2d(mask_feature[None], kernels, padding=kernel_size // 2)
