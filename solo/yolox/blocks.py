"""What backbone, neck and head of YOLOX are made of.

Legend: N images, C channels, h, w size of a feature.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from detectron2.config import CfgNode
from detectron2.layers import Conv2d, get_norm
from torch import Tensor, nn

from solo.config.choices import Activation, choose

# Of all batch normalisation in YOLOX.
_EPS, _MOMENTUM = 1e-3, 0.03
_SPP_KERNELS = (5, 9, 13)
_LEAK = 0.1

_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    Activation.SILU: partial(nn.SiLU, inplace=True),
    Activation.LEAKY_RELU: partial(nn.LeakyReLU, _LEAK, inplace=True),
    Activation.RELU: partial(nn.ReLU, inplace=True),
}


@dataclass(frozen=True, kw_only=True)
class Units:
    """How the convolutions of a network are made: each with normalisation and activation.

    Attributes:
        norm: As detectron2's `get_norm` knows it.
        activation: After the normalisation.
        depthwise: Whether :meth:`conv3` is a depthwise 3x3 and a 1x1.
    """

    norm: str = "BN"
    activation: Activation = Activation.SILU
    depthwise: bool = False

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "Units":
        """Read MODEL.YOLOX."""
        node = cfg.MODEL.YOLOX
        activation = choose(Activation, node.ACTIVATION, "MODEL.YOLOX.ACTIVATION")
        return cls(norm=node.NORM, activation=activation, depthwise=node.DEPTHWISE)

    def __call__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> nn.Module:
        """Return a convolution of so many channels that keeps the size but for its stride."""
        norm = get_norm(self.norm, outputs)
        for name, value in (("eps", _EPS), ("momentum", _MOMENTUM)):
            if hasattr(norm, name):
                setattr(norm, name, value)
        return Conv2d(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=(kernel - 1) // 2,
            groups=groups,
            bias=norm is None,
            norm=norm,
            activation=_ACTIVATIONS[self.activation](),
        )

    def conv3(self, inputs: int, outputs: int, *, stride: int = 1) -> nn.Module:
        """Return a 3x3 convolution, or the two that stand for it."""
        if self.depthwise:
            return DepthwiseUnit(inputs, outputs, stride, self)
        return self(inputs, outputs, 3, stride=stride)


class DepthwiseUnit(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 over the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int, unit: Units) -> None:
        """Make both of a kind of unit."""
        super().__init__()
        self.depthwise = unit(inputs, inputs, 3, stride=stride, groups=inputs)
        self.pointwise = unit(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h / stride, w / stride)."""
        result: Tensor = self.pointwise(self.depthwise(features))
        return result


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, added to their input or not."""

    def __init__(self, channels: int, *, shortcut: bool, unit: Units) -> None:
        """Keep the channels."""
        super().__init__()
        self.conv1 = unit(channels, channels, 1)
        self.conv2 = unit.conv3(channels, channels)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        result: Tensor = self.conv2(self.conv1(features))
        return result + features if self.shortcut else result


class CSP(nn.Module):
    """A chain of bottlenecks on half of the channels, beside a 1x1 convolution for the other half.

    Source:
        CSPNet (arXiv 1911.11929), in the form of YOLOv5.
    """

    def __init__(
        self, inputs: int, outputs: int, *, depth: int, shortcut: bool = True, unit: Units
    ) -> None:
        """Make a chain of `depth` bottlenecks, with shortcuts or without."""
        super().__init__()
        half = outputs // 2
        self.main = unit(inputs, half, 1)
        self.short = unit(inputs, half, 1)
        self.final = unit(2 * half, outputs, 1)
        self.blocks = nn.Sequential(
            *(Bottleneck(half, shortcut=shortcut, unit=unit) for _ in range(depth))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, outputs, h, w)."""
        halves = (self.blocks(self.main(features)), self.short(features))
        result: Tensor = self.final(torch.cat(halves, dim=1))
        return result


class SPP(nn.Module):
    """Spatial pyramid pooling: largest values nearby, in three sizes, beside the features themselves."""

    def __init__(self, channels: int, unit: Units) -> None:
        """Keep the channels."""
        super().__init__()
        half = channels // 2
        self.conv1 = unit(channels, half, 1)
        self.conv2 = unit(half * (1 + len(_SPP_KERNELS)), channels, 1)
        self.pools = nn.ModuleList(
            nn.MaxPool2d(kernel, stride=1, padding=kernel // 2) for kernel in _SPP_KERNELS
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        small: Tensor = self.conv1(features)
        result: Tensor = self.conv2(
            torch.cat([small, *(pool(small) for pool in self.pools)], dim=1)
        )
        return result


def space_to_channels(images: Tensor) -> Tensor:
    """Stack the four images of half the size that an image consists of.

    Args:
        images: (N, C, h, w), h and w even.

    Returns:
        (N, 4 C, h / 2, w / 2): pixels of (row, column) even-even, odd-even, even-odd, odd-odd.
    """
    corners = [images[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
    return torch.cat(corners, dim=1)
