"""What the heads share beyond their base: the last convolutions, and putting levels together."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from solo.layers.conv import init_conv
from solo.layers.transfer import to_device


class Predictor(nn.Conv2d):
    """A convolution from a tower to logits, which starts at the prior probability."""

    bias: nn.Parameter

    def __init__(self, in_channels: int, channels: int, kernel_size: int, prior: float) -> None:
        """Build it; `prior` is the probability that it says before training."""
        super().__init__(in_channels, channels, kernel_size, padding=kernel_size // 2)
        init_conv(self, bias=-math.log((1 - prior) / prior))


class Predictors(nn.ModuleList):
    """A predictor for each level."""

    def of(self, level: int) -> Predictor:
        """Return that of a level."""
        return cast(Predictor, self[level])


def assemble_levels(
    parts: list[Tensor], positions: list[Tensor], size: tuple[int, int], device: torch.device
) -> Tensor:
    """Put the soft masks that were decoded level by level into the order they were asked for.

    Args:
        parts: Per level, (p, H, W).
        positions: Per level, (p,) where they belong, on the CPU.
        size: (H, W), for when there are none.
        device: Where the masks live.

    Returns:
        (P, H, W).
    """
    if not parts:
        return torch.zeros((0, *size), device=device)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts)[to_device(torch.cat(positions).argsort(), device)]
