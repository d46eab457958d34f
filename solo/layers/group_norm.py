"""Normalisation and ReLU as one step; for group normalisation in bfloat16, a faster one to train with on a CPU.

The gradient of torch's GroupNorm takes ten times as long in bfloat16 and channels-last as in any other way. Here the
kernels of batch normalisation add up each channel of each image, and what a group needs follows from these sums.

Legend: N images, C channels, G groups of them, H, W feature size.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Values at a time in float32, to stay in the cache of a core.
_AT_A_TIME = 1 << 17
_aten = torch.ops.aten


def norm_relu(norm: nn.Module | None, features: Tensor) -> Tensor:
    """Normalise (N, C, H, W) features and cut them off below zero; without a `norm` in place.

    Inference, exports and training in other precisions run the module as it is.
    """
    if isinstance(norm, nn.GroupNorm) and _suits(norm, features):
        return group_norm_relu(features, norm.weight, norm.bias, norm.num_groups, norm.eps)
    return F.relu_(features if norm is None else norm(features))


def group_norm_relu(
    features: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float = 1e-5
) -> Tensor:
    """Normalise groups of channels and cut off below zero; what is rounded to bfloat16 are the results only.

    Args:
        features: (N, C, H, W) on a CPU, in channels-last.
        weight: (C,), of the same type as the features, or float32.
        bias: (C,), likewise.
        num_groups: G, which divides C.
        eps: Added to the variances.
    """
    result: Tensor = _GroupNormReLU.apply(features, weight, bias, num_groups, eps)
    return result


def _suits(norm: nn.GroupNorm, features: Tensor) -> bool:
    """Tell whether torch is slow at the gradient, and the features are as group_norm_relu takes them."""
    return (
        features.dtype == torch.bfloat16
        and features.device.type == "cpu"
        and torch.is_grad_enabled()
        and features.requires_grad
        and features.numel() > 0
        and features.dim() == 4
        and features.shape[1] == norm.num_channels
        and features.is_contiguous(memory_format=torch.channels_last)
        and not features.is_contiguous()
        and norm.affine
        and norm.weight.dtype == torch.float32
        and not torch.compiler.is_compiling()
        and not torch._C._is_tracing()
    )


class _GroupNormReLU(torch.autograd.Function):
    """Both, and their gradients."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, num_groups: int, eps: float
    ) -> Tensor:
        # By the type of these, which stay as they are, torch chooses that of the statistics.
        still = weight.new_zeros(2, len(weight))
        stats = [_aten.batch_norm_update_stats(image, *still, 0.0) for image in _each(features)]
        means, variances = (torch.stack(kind) for kind in zip(*stats, strict=True))
        mean = _of_groups(means, num_groups)
        rstd = (_of_groups(variances + (means - mean).square(), num_groups) + eps).rsqrt()
        result = _scaled(features, weight * rstd, bias - weight * rstd * mean).relu_()
        ctx.save_for_backward(features, result, weight, mean, rstd)
        ctx.num_groups = num_groups
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        features, result, weight, mean, rstd = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        gradient = _aten.threshold_backward(gradient, result, 0)
        of_weight, of_bias = _sums(gradient, features, mean, rstd)
        pixels = features[0, 0].numel()
        # What each value of a group has a part in: the mean, and the spread.
        by_mean, by_spread = (
            rstd * _of_groups(sums * weight, ctx.num_groups) / pixels
            for sums in (of_bias, of_weight)
        )
        of_features = _weighted_sum(
            (gradient, weight * rstd),
            (features, -rstd * by_spread),
            rstd * mean * by_spread - by_mean,
        )
        return of_features, of_weight.sum(0), of_bias.sum(0), None, None


def _each(features: Tensor) -> tuple[Tensor, ...]:
    """Return the (1, C, H, W) of each image."""
    return features.split(1)


def _of_groups(values: Tensor, num_groups: int) -> Tensor:
    """Replace each of (N, C) values by the mean of its group."""
    grouped = values.unflatten(1, (num_groups, -1))
    return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1)


def _scaled(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Multiply (N, C, H, W) by, and add, (N, C): as a batch normalisation of each image in eval mode does."""
    result = torch.empty_like(features)
    zeros, ones, none = torch.zeros_like(scale[0]), torch.ones_like(scale[0]), scale.new_empty(0)
    for image, out, *affine in zip(_each(features), _each(result), scale, shift, strict=True):
        _aten.native_batch_norm.out(
            image, *affine, zeros, ones, False, 0.0, 0.0, out=out, save_mean=none, save_invstd=none
        )
    return result


def _sums(gradient: Tensor, features: Tensor, mean: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor]:
    """Add up over each map, (N, C): the gradient times the normalised features, and the gradient."""
    none = None, None, None
    sums = [
        _aten.native_batch_norm_backward(*given, True, 0.0, [False, True, True])[1:]
        for image in zip(_each(gradient), _each(features), mean, rstd, strict=True)
        for given in [(*image[:2], *none, *image[2:])]
    ]
    of_weight, of_bias = (torch.stack(kind) for kind in zip(*sums, strict=True))
    return of_weight, of_bias


def _weighted_sum(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], shift: Tensor
) -> Tensor:
    """Add up two (N, C, H, W), each multiplied by (N, C), and (N, C)."""
    result = torch.empty_like(first[0])
    rows = max(_AT_A_TIME // result.shape[1], 1)
    maps = [tensor.permute(0, 2, 3, 1).flatten(1, 2) for tensor in (result, first[0], second[0])]
    for *images, a, b, c in zip(*maps, first[1], second[1], shift, strict=True):
        for out, x, y in zip(*(image.split(rows) for image in images), strict=True):
            total = torch.addcmul(c, y.to(c.dtype), b).addcmul_(x.to(c.dtype), a)
            out.copy_(total)
    return result
