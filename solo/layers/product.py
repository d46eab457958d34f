"""Matrix products in float32: by oneDNN, as convolutions are, on CPUs where it is the faster one.

oneDNN copies the second factor: smaller products of training, where memory counts, are better left to
`torch.mm`.
"""

from typing import Any

import torch
from torch import Tensor

from solo.config.choices import Products
from solo.layers import cpu


def product(left: Tensor, right: Tensor, kernel: Products = Products.AUTO) -> Tensor:
    """Multiply two matrices, differentiably; under autocast as `torch.mm` does.

    Args:
        left: (p, e).
        right: (e, n); no matter which of its axes lies together in memory.
        kernel: On a CPU.

    Returns:
        (p, n).

    Raises:
        UserError: If the kernel is of another name.
    """
    if not _suits(left, right) or cpu.product_kernel(kernel) is Products.BLAS:
        return left @ right
    if torch.is_grad_enabled() and (left.requires_grad or right.requires_grad):
        return _Product.apply(left, right)
    return _product(left, right)


def _suits(left: Tensor, right: Tensor) -> bool:
    """Tell whether oneDNN can take it; an exported model is to know no operator of a CPU."""
    return (
        left.device.type == "cpu"
        and left.dtype == right.dtype == torch.float32
        and left.numel() > 0
        and right.numel() > 0
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class _Product(torch.autograd.Function):
    """The product, and those of its gradient."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return _product(left, right)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        left, right = ctx.saved_tensors
        # One that was expanded has no strides that oneDNN knows.
        gradient = gradient.contiguous()
        of_left, of_right = ctx.needs_input_grad
        return (
            _product(gradient, right.t()) if of_left else None,
            _product(left.t(), gradient) if of_right else None,
        )


def _product(left: Tensor, right: Tensor) -> Tensor:
    # What torch.compile makes of nn.Linear: the second factor is a weight, (n, e).
    return torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
