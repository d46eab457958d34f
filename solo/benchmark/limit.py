"""How many floating-point operations a second there are, and how many this machine can do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from solo.layers.product import product
from solo.modeling.precision import amp_dtype

# Side of the square matrices whose product shows what a device can do: of a GPU, its launch has to be
# nothing beside it.
_SIDES = {"cpu": 1024, "cuda": 8192}
_REPEATS = 9


@contextmanager
def counting_operations() -> Iterator[Callable[[], int]]:
    """Yield a function that tells the operations of the body so far: of products and convolutions.

    Deformable convolutions and products of bytes are left out.
    """
    with FlopCounterMode(display=False, custom_mapping=_further_products()) as counter:
        yield counter.get_total_flops


def describe_limit(device: torch.device, *, mixed: bool = False) -> str:
    """Say in a sentence what a device can do in float32, and in the type of `mixed` precision."""
    parts = []
    for dtype in (torch.float32, amp_dtype(device) if mixed else None):
        if dtype:
            rate = peak_gflops(device, dtype)
            parts.append(f"{rate:.0f} GFLOP/s in {str(dtype).removeprefix('torch.')}")
    side = _SIDES[device.type]
    return f"A product of {side} x {side} matrices reaches {' and '.join(parts)} here."


def peak_gflops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the 10^9 operations a second of a large product, the best of several."""
    side = _SIDES[device.type]
    left, right = torch.rand(2, side, side, device=device).to(dtype)
    best = min(_seconds(left, right) for _ in range(_REPEATS))
    return 2 * side**3 / best / 1e9


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    start = time.perf_counter()
    # To the CPU: a GPU has to be waited for.
    product(left, right)[0, 0].item()
    return time.perf_counter() - start


def _further_products() -> dict[Any, Callable[..., int]]:
    """Return what the counter does not know of itself."""
    if not torch.backends.mkldnn.is_available():
        return {}
    return {torch.ops.mkldnn._linear_pointwise: _operations_of_linear}


def _operations_of_linear(left: Any, right: Any, *args: Any, **kwargs: Any) -> int:
    """Count those of a (p, e) and an (n, e) shape."""
    return 2 * left[0] * left[1] * right[0]
