"""Towers of 3x3 convolutions with normalisation and ReLU, as every branch of the heads uses them."""

from collections.abc import Callable
from typing import NamedTuple

from detectron2.layers import Conv2d, get_norm
from torch import Tensor, nn
from torch.nn import functional as F

from solo.layers.coordinates import with_coordinates
from solo.layers.deform_conv import DeformConv
from solo.layers.recompute import Recomputed, gathers_statistics

Norm = str | Callable[[int], nn.Module]


class Deform(NamedTuple):
    """Which convolutions of a tower are deformable.

    Attributes:
        convs: "none", "last" or "all".
        modulated: DCNv2 rather than DCNv1.
    """

    convs: str = "none"
    modulated: bool = True

    def choose(self, num_convs: int) -> list[bool]:
        """Say for each convolution of a tower whether it is deformable.

        Raises:
            ValueError: If `convs` is none of the three.
        """
        choices = {
            "none": [False] * num_convs,
            "last": [False] * (num_convs - 1) + [True],
            "all": [True] * num_convs,
        }
        if self.convs not in choices:
            raise ValueError(f"DEFORM_CONVS is {self.convs!r}; use one of {', '.join(choices)}.")
        return choices[self.convs]


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

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        norm: A name that detectron2's `get_norm` knows, "" for none, or a function of the channels.
        kernel_size: Odd side of the kernel.
        deformable: Whether the convolution moves its sampling points.
        modulated: Of a deformable one, whether it weighs them, too.
    """
    if deformable:
        deform = DeformConv(in_channels, out_channels, kernel_size, norm=norm, modulated=modulated)
        init_conv(deform)
        return deform
    conv = Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=kernel_size // 2,
        bias=not norm,
        norm=get_norm(norm, out_channels),
        activation=F.relu_,  # in place: no layer before it keeps its output
    )
    init_conv(conv)
    return conv


class Tower(nn.Sequential):
    """Convolutions, the first of which may see coordinates besides the features."""

    def __init__(self, *convs: nn.Module, coordinates: str = "") -> None:
        """Stack convolutions.

        Args:
            convs: The layers.
            coordinates: "", "x", "y" or "xy".
        """
        super().__init__(*convs)
        self.coordinates = coordinates

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers on (N, C, H, W) features."""
        return super().forward(with_coordinates(features, self.coordinates))


class RecomputedTower(Recomputed, Tower):
    """A tower of which training keeps the features only."""


def conv_tower(
    in_channels: int,
    channels: int,
    *,
    num_convs: int,
    norm: Norm,
    deform: Deform,
    coordinates: str = "",
    recompute: bool = False,
) -> Tower:
    """Stack `num_convs` 3x3 convolutions with normalisation and ReLU.

    With `recompute`, training keeps the input only; not where batch normalisation gathers statistics.
    See :class:`Tower` for the `coordinates`, which `in_channels` leaves out.
    """
    inputs = [in_channels + len(coordinates)] + [channels] * (num_convs - 1)
    convs = [
        conv_norm_relu(
            width, channels, norm=norm, deformable=deformable, modulated=deform.modulated
        )
        for width, deformable in zip(inputs, deform.choose(num_convs), strict=True)
    ]
    lean = recompute and not gathers_statistics(*convs)
    return (RecomputedTower if lean else Tower)(*convs, coordinates=coordinates)


def init_conv(conv: nn.Module, *, bias: float = 0.0) -> None:
    """Draw the weights from N(0, 0.01) and set the bias, as the papers do for all head convolutions."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, bias)
