"""Necks that add: from coarse to fine, and back again."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from solo.modeling.necks.neck_base import Neck


class TopDown(Neck):
    """The feature pyramid as detectron2's FPN computes it, and with its names.

    Source:
        FPN (arXiv 1612.03144).
    """

    def __init__(self, *args: Any, channels: int, **kwargs: Any) -> None:
        """See :class:`Neck`."""
        super().__init__(*args, channels=channels, **kwargs)
        for level in self.levels:
            self.add_module(f"fpn_output{level}", self.conv(channels, 3))

    def combine(self, laterals: list[Tensor]) -> list[Tensor]:
        """See :class:`Neck`."""
        levels = self.outputs(laterals)
        return [*levels, F.max_pool2d(levels[-1], 1, stride=2)]

    def outputs(self, laterals: list[Tensor]) -> list[Tensor]:
        """Add what is coarser to what is finer, then smooth each level."""
        merged = laterals[-1:]
        for finer in laterals[-2::-1]:
            merged.insert(0, finer + F.interpolate(merged[0], size=finer.shape[-2:]))
        return [
            self.get_submodule(f"fpn_output{level}")(feature)
            for level, feature in zip(self.levels, merged, strict=True)
        ]


class PAFPN(TopDown):
    """A path from fine to coarse on top of the pyramid, as mmdetection's PAFPN computes it.

    Source:
        PANet (arXiv 1803.01534), without its adaptive pooling.
    """

    def __init__(self, *args: Any, channels: int, **kwargs: Any) -> None:
        """See :class:`Neck`."""
        super().__init__(*args, channels=channels, **kwargs)
        for level in self.levels[1:]:
            self.add_module(f"pafpn_down{level}", self.conv(channels, 3, stride=2))
            self.add_module(f"pafpn_output{level}", self.conv(channels, 3))

    def outputs(self, laterals: list[Tensor]) -> list[Tensor]:
        """Add what is finer to what is coarser, then smooth each level once more."""
        finest, *coarser = super().outputs(laterals)
        sums, outputs = finest, [finest]
        for level, feature in zip(self.levels[1:], coarser, strict=True):
            sums = feature + self.get_submodule(f"pafpn_down{level}")(sums)
            outputs.append(self.get_submodule(f"pafpn_output{level}")(sums))
        return outputs
