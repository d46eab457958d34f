"""Convolutions followed by frozen batch normalisation, which learn with it folded into their weights.

That is a pass over the features less, forward and backward, and one tensor of their size less at a time. What is learnt
are the weights as they are in the checkpoint.
"""

from typing import Any

import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

_aten = torch.ops.aten


class FrozenConv(Conv2d):
    """detectron2's, whose `norm` is a FrozenBatchNorm2d, unless another is put in its place later."""

    def forward(self, features: Tensor) -> Tensor:
        """Convolve and normalise (N, C, H, W); without gradients, and in exports, as detectron2 does."""
        norm, dtype = self.norm, _computed_in(features)
        # The norm may be another one by now. In float16 the gradient of the scaled weights would overflow first.
        is_frozen = type(norm) is FrozenBatchNorm2d and dtype is not torch.float16
        if not (is_frozen and torch.is_grad_enabled()) or _is_traced():
            result: Tensor = super().forward(features)
            return result
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        geometry = self.stride, self.padding, self.dilation, self.groups
        result = _ScaledConv.apply(features.to(dtype), self.weight, scale, shift, geometry)
        return result if self.activation is None else self.activation(result)


def fold_frozen_norms(module: nn.Module) -> None:
    """Let all convolutions of a module that frozen batch normalisation follows be of this kind."""
    for part in module.modules():
        is_one = type(part) is Conv2d and type(part.norm) is FrozenBatchNorm2d
        if is_one and part.bias is None and not isinstance(part.padding, str):
            part.__class__ = FrozenConv


class _ScaledConv(torch.autograd.Function):
    """A convolution with scaled weights, which are not kept: they are made again on the way back."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, geometry: Any
    ) -> Tensor:
        ctx.save_for_backward(features, weight, scale)
        ctx.geometry = geometry
        scaled = _scaled(weight, scale).to(features.dtype)
        return F.conv2d(features, scaled, shift.to(features.dtype), *geometry)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        features, weight, scale = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        scaled = _scaled(weight, scale).to(features.dtype)
        still = False, [0, 0]  # no transposed convolution
        wanted = [*ctx.needs_input_grad[:2], False]
        of_features, of_scaled, _ = _aten.convolution_backward(
            gradient, features, scaled, None, stride, padding, dilation, *still, groups, wanted
        )
        of_weight = None if of_scaled is None else _scaled(of_scaled.to(weight.dtype), scale)
        return of_features, of_weight, None, None, None


def _computed_in(features: Tensor) -> torch.dtype:
    """Return the type that a convolution of features computes in."""
    kind = features.device.type
    is_mixed = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if is_mixed else features.dtype


def _is_traced() -> bool:
    return torch.compiler.is_compiling() or torch._C._is_tracing()


def _scaled(weight: Tensor, scale: Tensor) -> Tensor:
    """Multiply the (C, ...) weights of each of C kernels."""
    return weight * scale.view(-1, 1, 1, 1)
