"""Towers of 3x3 convolutions with normalisation and ReLU, as every branch of the heads uses them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from detectron2.layers import Conv2d, get_norm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from solo.layers.deform_conv import DeformConv

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
        activation=F.relu,
    )
    init_conv(conv)
    return conv


class ConvTower(nn.Sequential):
    """A stack of `conv_norm_relu`.

    With `recompute`, training keeps one tensor a convolution instead of three: the outputs of the
    normalisation and the ReLU are computed again on the way back, which costs little beside the
    convolutions and changes no number. A tower with batch normalisation, which would count a batch
    twice, runs as without.
    """

    def __init__(self, *convs: nn.Module, recompute: bool = False) -> None:
        """Stack the convolutions."""
        super().__init__(*convs)
        self.recompute = recompute

    def forward(self, features: Tensor) -> Tensor:
        """Run (N, C, H, W) through the convolutions."""
        if not (self.recompute and torch.is_grad_enabled()) or gathers_statistics(self):
            return super().forward(features)
        finish = None
        for conv in self:
            features = checkpoint(
                _finish_then_convolve, finish, conv, features, use_reentrant=False
            )
            finish = conv if isinstance(conv, Conv2d) else None
        return _finish(finish, features)


def gathers_statistics(module: nn.Module) -> bool:
    """Tell whether a module has batch normalisation that is not frozen."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def _finish_then_convolve(previous: Conv2d | None, conv: nn.Module, features: Tensor) -> Tensor:
    features = _finish(previous, features)
    if not isinstance(conv, Conv2d):
        return conv(features)
    return F.conv2d(features, conv.weight, conv.bias, padding=conv.padding)


def _finish(conv: Conv2d | None, features: Tensor) -> Tensor:
    """Do what comes after the convolution proper: normalisation and ReLU."""
    if conv is None:
        return features
    return F.relu(conv.norm(features) if conv.norm is not None else features)


def conv_tower(
    in_channels: int,
    channels: int,
    *,
    num_convs: int,
    norm: Norm,
    deform: Deform,
    recompute: bool = False,
) -> ConvTower:
    """Stack `num_convs` 3x3 convolutions with normalisation and ReLU; see `ConvTower`."""
    inputs = [in_channels] + [channels] * (num_convs - 1)
    convs = (
        conv_norm_relu(
            width, channels, norm=norm, deformable=deformable, modulated=deform.modulated
        )
        for width, deformable in zip(inputs, deform.choose(num_convs), strict=True)
    )
    return ConvTower(*convs, recompute=recompute)


def init_conv(conv: nn.Module, *, bias: float = 0.0) -> None:
    """Draw the weights from N(0, 0.01) and set the bias, as the papers do for all head convolutions."""
    nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.constant_(conv.bias, bias)
