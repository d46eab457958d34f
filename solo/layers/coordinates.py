"""Pixel coordinates as features: what tells two alike objects apart by where they are."""

import torch
from torch import Tensor

_CHANNELS = {"x": slice(0, 1), "y": slice(1, 2), "xy": slice(0, 2)}


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
