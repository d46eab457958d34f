"""Spatial pyramid pooling: a feature sees its surroundings at several sizes."""

import torch
from detectron2.layers import Conv2d, get_norm
from torch import Tensor, nn
from torch.nn import functional as F

_SIZES = (5, 9, 13)


class SPP(nn.Module):
    """Maxima around each pixel, over 5, 9 and 13 pixels, beside the pixel itself.

    Source:
        YOLOv3-SPP, after Spatial Pyramid Pooling (arXiv 1406.4729).
    """

    def __init__(self, channels: int, norm: str) -> None:
        """Build it for (N, channels, H, W), which it keeps; `norm` is a name that `get_norm` knows."""
        super().__init__()
        half = channels // 2
        self.reduce = _conv(channels, half, norm)
        self.expand = _conv(half * (1 + len(_SIZES)), channels, norm)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        features = self.reduce(features)
        pooled = [F.max_pool2d(features, size, stride=1, padding=size // 2) for size in _SIZES]
        return self.expand(torch.cat([features, *pooled], dim=1))


def _conv(in_channels: int, out_channels: int, norm: str) -> nn.Module:
    conv = Conv2d(
        in_channels,
        out_channels,
        1,
        bias=not norm,
        norm=get_norm(norm, out_channels),
        activation=F.relu,
    )
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv
