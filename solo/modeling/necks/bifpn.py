"""EfficientDet's neck: both ways several times over, with learned weights for what is added."""

from typing import Any

import torch
from detectron2.layers import Conv2d, get_norm
from torch import Tensor, nn
from torch.nn import functional as F

from solo.modeling.necks.neck_base import Neck


class BiFPN(Neck):
    """Rounds of weighted fusion over all levels, the one on top among them.

    One convolution of an input serves both ways; EfficientDet's code, not its paper, has two in the first round.

    Source:
        EfficientDet (arXiv 1911.09070), section 3.
    """

    def __init__(self, *args: Any, channels: int, repeats: int, **kwargs: Any) -> None:
        """See :class:`Neck`; `repeats` is the number of rounds."""
        super().__init__(*args, channels=channels, **kwargs)
        count = len(self.levels) + 1
        self.rounds = nn.ModuleList(_Round(count, channels, self._norm) for _ in range(repeats))

    def combine(self, laterals: list[Tensor]) -> list[Tensor]:
        """See :class:`Neck`."""
        levels = [*laterals, _halve(laterals[-1])]
        for one in self.rounds:
            levels = one(levels)
        return levels


class _Round(nn.Module):
    """Once from coarse to fine and once back: a sum of two or three, then a separable convolution."""

    def __init__(self, levels: int, channels: int, norm: str) -> None:
        super().__init__()
        # From the finest level on; the coarsest is nothing's in the middle, nor has it a third input.
        self.down = nn.ModuleList(_Fusion(2, channels, norm) for _ in range(levels - 1))
        inputs = [3] * (levels - 2) + [2]
        self.up = nn.ModuleList(_Fusion(number, channels, norm) for number in inputs)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return as many levels, of the same sizes."""
        middle = levels[-1:]
        for fuse, level in zip(reversed(self.down), levels[-2::-1], strict=True):
            middle.insert(0, fuse([level, F.interpolate(middle[0], size=level.shape[-2:])]))
        outputs = middle[:1]
        for place, fuse in enumerate(self.up, start=1):
            # The coarsest level is its own middle.
            between = [middle[place]] if place < len(self.up) else []
            outputs.append(fuse([levels[place], *between, _halve(outputs[-1])]))
        return outputs


class _Fusion(nn.Module):
    """A mean with learned weights, none below zero, SiLU, and a separable convolution."""

    def __init__(self, inputs: int, channels: int, norm: str) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs))
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = Conv2d(channels, channels, 1, bias=not norm, norm=get_norm(norm, channels))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Fuse features of one shape."""
        weights = F.relu(self.weights)
        weights = weights / (weights.sum() + 1e-4)
        parts = [weight * feature for weight, feature in zip(weights, features, strict=True)]
        return self.pointwise(self.depthwise(F.silu(torch.stack(parts).sum(dim=0))))


def _halve(features: Tensor) -> Tensor:
    """Return the maxima over 3 x 3 pixels, at every second one."""
    return F.max_pool2d(features, 3, stride=2, padding=1)
