"""Deformable convolutions on torchvision's operator: CPU and GPU, without a compiled detectron2.

Legend: N images, C channels, k kernel side, H, W feature size.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from detectron2.layers import get_norm
from detectron2.modeling.backbone import resnet
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from solo.layers.group_norm import norm_relu


class DeformConv(nn.Module):
    """Deformable convolution, normalisation and ReLU: it moves its own sampling points.

    Source:
        DCNv1 (arXiv 1703.06211); modulated, DCNv2 (arXiv 1811.11168).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        norm: object,
        modulated: bool,
    ) -> None:
        """Build the convolution, of an odd kernel; before training it samples as a plain one does.

        `norm` is what detectron2's `get_norm` takes. Modulated, each sampling point has a weight, too (DCNv2),
        which starts at 0.5.
        """
        super().__init__()
        self.modulated = modulated
        self.padding = kernel_size // 2
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = None if norm else nn.Parameter(torch.zeros(out_channels))
        self.norm = get_norm(norm, out_channels)
        per_point = 3 if modulated else 2
        self.offset = nn.Conv2d(
            in_channels, per_point * kernel_size**2, kernel_size, padding=self.padding
        )
        for parameter in self.offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve (N, C, H, W), keeping the size, normalise, and cut off below zero."""
        return norm_relu(self.norm, self.convolve(features))

    def convolve(self, features: Tensor) -> Tensor:
        """Convolve (N, C, H, W), keeping the size."""
        offset, weights = split_offsets(self.offset(features), self.modulated)
        return _deform_conv(features, offset, self.weight, self.bias, weights, padding=self.padding)


def _deform_conv(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    **geometry: int,
) -> Tensor:
    """Run torchvision's operator, under autocast in float32: on CPUs it knows nothing else."""
    if torch.is_grad_enabled():
        # The strides of 1x1 kernels in channels-last are more than the gradient of older torchvisions takes.
        weight = weight.flatten(1).unflatten(1, weight.shape[1:])
    kind = features.device.type
    if not torch.is_autocast_enabled(kind):
        return deform_conv2d(features, offset, weight, bias, mask=mask, **geometry)
    with torch.autocast(kind, enabled=False):
        mask = None if mask is None else mask.float()
        result = deform_conv2d(
            features.float(), offset.float(), weight, bias, mask=mask, **geometry
        )
    return result.to(features.dtype)


def split_offsets(offsets: Tensor, modulated: bool) -> tuple[Tensor, Tensor | None]:
    """Split what the offset convolution says into offsets and weights of the sampling points.

    Args:
        offsets: (N, 3 * k * k, H, W) if modulated, else (N, 2 * k * k, H, W).
        modulated: Whether the last third are logits of weights.

    Returns:
        Offsets, (N, 2 * k * k, H, W) pixels as y, x of each point, and weights, (N, k * k, H, W).
    """
    if not modulated:
        return offsets, None
    first, second, logits = offsets.chunk(3, dim=1)
    return torch.cat([first, second], dim=1), logits.sigmoid()


class TorchvisionDeformConv(nn.Module):
    """Stands in for detectron2's (Modulated)DeformConv, which needs compiled code.

    Parameters, their names and their first values are the same.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        groups: int = 1,
        deformable_groups: int = 1,
        bias: bool = False,
        norm: nn.Module | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
        **geometry: int,
    ) -> None:
        """Build the convolution from the arguments of detectron2's.

        Channels of a group are convolved apart. From the offsets torchvision counts the deformable groups.
        What follows is `norm`, then `activation`; `geometry` are `stride`, `padding` and `dilation`.

        Raises:
            ValueError: If there is to be a bias.
        """
        super().__init__()
        if bias:
            raise ValueError("A deformable convolution of a backbone has no bias.")
        size = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(size))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        # What initialises the layers of detectron2 looks for one.
        self.register_parameter("bias", None)
        self.norm, self.activation, self.geometry = norm, activation, geometry

    def forward(self, features: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve with given offsets and, for DCNv2, weights of the sampling points."""
        features = _deform_conv(features, offset, self.weight, None, mask, **self.geometry)
        if self.norm is not None:
            features = self.norm(features)
        return features if self.activation is None else self.activation(features)


@contextmanager
def torchvision_deform_convs() -> Iterator[None]:
    """Let detectron2's backbones that the body builds take torchvision's operator.

    Not afterwards: detectron2's main branch refuses to build its own where it is not compiled.
    """
    names = ("DeformConv", "ModulatedDeformConv")
    before = {name: getattr(resnet, name) for name in names}
    try:
        for name in names:
            setattr(resnet, name, TorchvisionDeformConv)
        yield
    finally:
        for name, original in before.items():
            setattr(resnet, name, original)
