"""The neck of YOLOX: what is seen goes down to where objects are small, and back up."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from solo.yolox.blocks import CSP, SPP, Units


class PAFPN(nn.Module):
    """A path aggregation network over three features, each of half the size of the one before.

    Source:
        PANet (arXiv 1803.01534), with CSP blocks.
    """

    def __init__(
        self, channels: Sequence[int], *, depth: int, unit: Units, spp: bool = False
    ) -> None:
        """Build both paths.

        Args:
            channels: Of the three features, which stay as many.
            depth: Bottlenecks of each CSP block.
            unit: How convolutions are made.
            spp: Whether spatial pyramid pooling stands before it, on the last feature.
        """
        super().__init__()
        low, middle, high = channels
        self.spp = SPP(high, unit) if spp else nn.Identity()
        self.reduce = nn.ModuleList([unit(high, middle, 1), unit(middle, low, 1)])

        def csp(inputs: int, outputs: int) -> CSP:
            return CSP(inputs, outputs, depth=depth, shortcut=False, unit=unit)

        self.top_down = nn.ModuleList([csp(2 * middle, middle), csp(2 * low, low)])
        self.downsample = nn.ModuleList(
            [unit.conv3(low, low, stride=2), unit.conv3(middle, middle, stride=2)]
        )
        self.bottom_up = nn.ModuleList([csp(2 * low, middle), csp(2 * middle, high)])

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return three features of the same shapes, the largest first, of three in that order."""
        *lower, current = features
        current, ways_up = self.spp(current), []
        for reduce, blocks, feature in zip(
            self.reduce, self.top_down, reversed(lower), strict=True
        ):
            way_up = reduce(current)
            ways_up.append(way_up)
            larger = F.interpolate(way_up, scale_factor=2.0, mode="nearest")
            current = blocks(torch.cat([larger, feature], dim=1))
        outputs = [current]
        for shrink, blocks, way_up in zip(
            self.downsample, self.bottom_up, reversed(ways_up), strict=True
        ):
            outputs.append(blocks(torch.cat([shrink(outputs[-1]), way_up], dim=1)))
        return outputs
