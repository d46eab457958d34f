"""Towers of 3x3 convolutions with normalisation and ReLU, as every branch of the heads uses them."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from detectron2.layers import Conv2d, get_norm
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from solo.config.choices import DeformConvs, Recompute, choose
from solo.errors import UserError
from solo.layers.coordinates import Encoding
from solo.layers.deform_conv import DeformConv
from solo.layers.group_norm import norm_relu
from solo.layers.recompute import Recomputed, gathers_statistics

Norm = str | Callable[[int], nn.Module]

# Of detectron2's "GN".
_GROUPS = 32
_LINEAR = Encoding()


class ConvNormReLU(Conv2d):
    """Convolution, normalisation and ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """Run all three on (N, C, H, W)."""
        return norm_relu(self.norm, self.convolve(features))

    def convolve(self, features: Tensor) -> Tensor:
        """Run the convolution only."""
        return nn.Conv2d.forward(self, features)


class Deform(NamedTuple):
    """Which convolutions of a tower are deformable.

    Attributes:
        convs: None of them, the last one, or all.
        modulated: DCNv2 rather than DCNv1.
    """

    convs: DeformConvs = DeformConvs.NONE
    modulated: bool = True

    def of_tower(self, num_convs: int) -> list[bool]:
        """Say for each convolution of a tower whether it is deformable.

        Raises:
            UserError: If `convs` is none of the three.
        """
        convs = choose(DeformConvs, self.convs, "MODEL.SOLO.DEFORM_CONVS")
        before_last = convs is DeformConvs.ALL
        return [before_last] * (num_convs - 1) + [convs is not DeformConvs.NONE]


def conv_norm_relu(
    in_channels: int,
    out_channels: int,
    *,
    norm: Norm,
    kernel_size: int = 3,
    deformable: bool = False,
    modulated: bool = True,
) -> nn.Module:
    """Build convolution, normalisation and ReLU as one module that keeps the spatial size.

    `norm` is a name that detectron2's `get_norm` knows, "" for none, or a function of the channels;
    the kernel is odd. A deformable convolution moves its sampling points; modulated, it weighs them, too.

    Raises:
        UserError: If the channels are no multiple of the groups of GN.
    """
    if norm == "GN" and out_channels % _GROUPS:
        raise UserError(
            f"{out_channels} channels cannot be normalised by GN: give a multiple of {_GROUPS}."
        )
    if deformable:
        deform = DeformConv(in_channels, out_channels, kernel_size, norm=norm, modulated=modulated)
        init_conv(deform)
        return deform
    conv = ConvNormReLU(
        in_channels,
        out_channels,
        kernel_size,
        padding=kernel_size // 2,
        bias=not norm,
        norm=get_norm(norm, out_channels),
    )
    init_conv(conv)
    return conv


class Tower(nn.Sequential):
    """Convolutions, the first of which may see coordinates besides the features."""

    def __init__(
        self, *convs: nn.Module, coordinates: str = "", encoding: Encoding = _LINEAR
    ) -> None:
        """Stack convolutions; the coordinates are "", "x", "y" or "xy"."""
        super().__init__(*convs)
        self.coordinates, self.encoding = coordinates, encoding

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers on (N, C, H, W) features."""
        features = self.encoding.append(features, self.coordinates)
        for conv in self:
            features = conv(features)
        return features


class LeanTower(Tower):
    """A tower of which training keeps what the convolutions give, but not what goes into them."""

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers on (N, C, H, W) features."""
        if not torch.is_grad_enabled():
            return super().forward(features)
        convs = [cast(ConvNormReLU | DeformConv, conv) for conv in self]
        append = partial(self.encoding.append, axes=self.coordinates)
        features = _convolve_after(append, convs[0], features)
        for before, conv in pairwise(convs):
            features = _convolve_after(partial(norm_relu, before.norm), conv, features)
        return norm_relu(convs[-1].norm, features)


class RecomputedTower(Recomputed, Tower):
    """A tower of which training keeps the features only."""


_TOWERS: dict[Recompute, type[Tower]] = {
    Recompute.NONE: Tower,
    Recompute.CHEAP: LeanTower,
    Recompute.ALL: RecomputedTower,
}


def conv_tower(
    in_channels: int,
    channels: int,
    *,
    num_convs: int,
    norm: Norm,
    deform: Deform,
    coordinates: str = "",
    encoding: Encoding = _LINEAR,
    recompute: Recompute = Recompute.NONE,
) -> Tower:
    """Stack `num_convs` 3x3 convolutions with normalisation and ReLU.

    See :class:`Tower` for the `coordinates`, whose channels `in_channels` leaves out, and :func:`conv_norm_relu`
    for the `norm`. What is cheap to recompute are normalisation and ReLU. Nothing is computed again where
    batch normalisation gathers statistics, or where there is nothing cheap.

    Raises:
        UserError: If there are no convolutions, their channels do not suit the normalisation, or
            `recompute` or `deform.convs` is none of its words.
    """
    if num_convs < 1:
        raise UserError(f"NUM_CONVS is {num_convs}; give 1 or more.")
    recompute = choose(Recompute, recompute, "MODEL.SOLO.RECOMPUTE")
    inputs = [in_channels + encoding.channels(coordinates)] + [channels] * (num_convs - 1)
    convs = [
        conv_norm_relu(
            width, channels, norm=norm, deformable=deformable, modulated=deform.modulated
        )
        for width, deformable in zip(inputs, deform.of_tower(num_convs), strict=True)
    ]
    if gathers_statistics(*convs) or (recompute is Recompute.CHEAP and not norm):
        recompute = Recompute.NONE
    return _TOWERS[recompute](*convs, coordinates=coordinates, encoding=encoding)


def _convolve_after(
    prepare: Callable[[Tensor], Tensor], layer: ConvNormReLU | DeformConv, features: Tensor
) -> Tensor:
    """Convolve what is made of the features; training keeps the features, and makes it again."""
    # A deformable convolution asks for its input after it has run, only: it would run twice.
    if isinstance(layer, DeformConv):
        return layer.convolve(prepare(features))

    def run(given: Tensor) -> Tensor:
        return layer.convolve(prepare(given))

    # On the way back this stops where the convolution has its input, so none does.
    return checkpoint(run, features, use_reentrant=False)


def init_conv(conv: nn.Conv2d | DeformConv, *, bias: float = 0.0) -> None:
    """Draw the weights from N(0, 0.01) and set the bias, as the papers do for all head convolutions."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, bias)
