"""Pixel coordinates as features: what tells two alike objects apart by where they are."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from solo.config.choices import CoordinateEncoding, choose
from solo.errors import UserError

_CHANNELS = {"x": slice(0, 1), "y": slice(1, 2), "xy": slice(0, 2)}


@dataclass(frozen=True)
class Encoding:
    """In which features a place is told.

    Attributes:
        kind: "linear": by x and y themselves; "fourier": by their sines and cosines, too; "none": not at all.
        octaves: Of the sines and cosines: the first has one period over the frame, the next has two, then four.

    Source:
        CoordConv (arXiv 1807.03247), as in SOLO section 3.2; Fourier features (arXiv 2006.10739).
    """

    kind: CoordinateEncoding = CoordinateEncoding.LINEAR
    octaves: int = 2

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        choose(CoordinateEncoding, self.kind, "MODEL.SOLO.COORDINATES")
        if self.octaves < 1:
            raise UserError(f"MODEL.SOLO.COORDINATE_OCTAVES is {self.octaves}; give 1 or more.")

    def channels(self, axes: str = "xy") -> int:
        """Return how many channels tell x, y or both."""
        if self.kind == CoordinateEncoding.NONE:
            return 0
        fourier = self.kind == CoordinateEncoding.FOURIER
        return len(axes) * (1 + 2 * self.octaves * fourier)

    def append(self, features: Tensor, axes: str = "xy") -> Tensor:
        """Append them to the channels of (N, C, H, W)."""
        if self.kind == CoordinateEncoding.NONE or not axes:
            return features
        if self.kind == CoordinateEncoding.LINEAR:
            return with_coordinates(features, axes)
        # In float32: an angle of octave o is pi * 2 ** o times the coordinate, and so is the error of one in half precision.
        places = coordinate_channels(features[:, :1].float())[:, _CHANNELS[axes]]
        angles = torch.cat([places * (math.pi * 2**octave) for octave in range(self.octaves)], 1)
        told = torch.cat([places, angles.sin(), angles.cos()], dim=1)
        return torch.cat([features, told.to(features.dtype)], dim=1)


def coordinate_channels(features: Tensor) -> Tensor:
    """Return x, then y, in [-1, 1] over the (padded) frame of the features.

    Args:
        features: (N, C, H, W), taken for size, dtype and device.

    Returns:
        (N, 2, H, W).

    Source:
        CoordConv (arXiv 1807.03247), as in SOLO section 3.2.
    """
    count, _, height, width = features.shape
    y = _line(height, features).view(1, 1, height, 1)
    x = _line(width, features).view(1, 1, 1, width)
    size = (count, 1, height, width)
    return torch.cat([x.expand(size), y.expand(size)], dim=1)


def _line(length: int, like: Tensor) -> Tensor:
    if not torch.compiler.is_compiling():
        # In half precision some CPUs lose half of the digits near zero, others none.
        dtype = torch.promote_types(like.dtype, torch.float32)
        return torch.linspace(-1, 1, length, dtype=dtype, device=like.device).to(like.dtype)
    # linspace would fix the length of an exported model.
    steps = torch.arange(length, dtype=torch.float32, device=like.device)
    return (steps * (2 / steps[-1:].clamp(min=1)) - 1).to(like.dtype)


def with_coordinates(features: Tensor, axes: str = "xy") -> Tensor:
    """Append x, y or both to the channels: (N, C, H, W) -> (N, C + len(axes), H, W)."""
    if not axes:
        return features
    return torch.cat([features, coordinate_channels(features)[:, _CHANNELS[axes]]], dim=1)
