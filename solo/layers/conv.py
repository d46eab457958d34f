"""Towers of 3x3 convolutions with normalisation and ReLU, as every branch of the heads uses them."""

from collections.abc import Callable

from detectron2.layers import Conv2d, get_norm
from torch import nn

Norm = str | Callable[[int], nn.Module]


def conv_norm_relu(
    in_channels: int, out_channels: int, *, norm: Norm, kernel_size: int = 3
) -> Conv2d:
    """Build convolution, normalisation and ReLU as one module that keeps the spatial size.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        norm: A name that detectron2's `get_norm` knows, "" for none, or a function of the channels.
        kernel_size: Odd side of the kernel.
    """
    conv = Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=kernel_size // 2,
        bias=not norm,
        norm=get_norm(norm, out_channels),
        activation=nn.functional.relu,
    )
    init_conv(conv)
    return conv


def conv_tower(in_channels: int, channels: int, *, num_convs: int, norm: Norm) -> nn.Sequential:
    """Stack `num_convs` 3x3 convolutions with normalisation and ReLU."""
    inputs = [in_channels] + [channels] * (num_convs - 1)
    return nn.Sequential(*(conv_norm_relu(width, channels, norm=norm) for width in inputs))


def init_conv(conv: nn.Conv2d, *, bias: float = 0.0) -> None:
    """Draw the weights from N(0, 0.01) and set the bias, as the papers do for all head convolutions."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, bias)
