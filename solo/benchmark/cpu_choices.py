"""What this CPU has, which ways of the same work were chosen for it, and what the choice gains."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from detectron2.config import CfgNode
from torch import nn
from tqdm import tqdm

from solo.benchmark.synthetic import draw_ellipses
from solo.config.choices import Intersections, Products
from solo.errors import UserError
from solo.layers import cpu
from solo.layers.memory_format import memory_format
from solo.layers.overlaps import mask_intersections
from solo.layers.product import product

HEADERS = ("work", "way", "median, ms", "times the chosen", "chosen")
_SIZE = (800, 1088)
_CHANNELS = 256
_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


class Row(NamedTuple):
    """One way of some work.

    Attributes:
        work: What is done.
        way: How.
        median_ms: Median over the repeats.
        times: Its time to that of the chosen way.
        chosen: "yes", or nothing.
    """

    work: str
    way: str
    median_ms: float
    times: float
    chosen: str


class _Work(NamedTuple):
    """Some work, the ways to do it, and which one a config asks for."""

    name: str
    ways: dict[str, Callable[[], object]]
    chosen: str


def benchmark_cpu(cfg: CfgNode, *, repeats: int = 7, progress: bool = False) -> list[Row]:
    """Time every way that there is to choose from, the chosen one beside the others.

    Args:
        cfg: With MODEL.CPU and MODEL.MEMORY_FORMAT.
        repeats: How often.
        progress: Whether to show a bar.

    Raises:
        UserError: If a key has none of its words, or the number is below one.
    """
    if repeats < 1:
        raise UserError(f"Cannot measure {repeats} times: give 1 or more.")
    rows = []
    for work in tqdm(list(_works(cfg)), desc="choices", disable=not progress or None):
        medians = {way: _median_ms(function, repeats) for way, function in work.ways.items()}
        for way, median in medians.items():
            is_chosen = "yes" if way == work.chosen else ""
            rows.append(Row(work.name, way, median, median / medians[work.chosen], is_chosen))
    return rows


def describe_cpu() -> str:
    """Say what this machine has, and how to choose otherwise."""
    return (
        f"This CPU: {cpu.name()}, {cpu.usable_cores()} cores, {torch.get_num_threads()} threads of torch "
        f"{torch.__version__}.\nFeatures: {cpu.features().describe()}.\nTo choose otherwise: "
        "MODEL.CPU.INTERSECTIONS, .PRODUCTS, .BFLOAT16, and MODEL.MEMORY_FORMAT.\nTimed at the sizes of an "
        f"input of {_SIZE[0]} x {_SIZE[1]}. Mixed precision is off unless TEST.AMP or SOLVER.AMP asks for it."
    )


def _works(cfg: CfgNode) -> Iterator[_Work]:
    keys = cfg.MODEL.CPU
    objects = draw_ellipses(100, _SIZE, 1, torch.Generator().manual_seed(0))
    masks = objects.gt_masks.tensor[:, ::4, ::4].contiguous()
    yield _Work(
        "pixels that 100 masks share",
        {kernel: partial(mask_intersections, masks, kernel) for kernel in _exact_kernels()},
        cpu.intersection_kernel(keys.INTERSECTIONS),
    )
    pixels = masks[0].numel()
    factors = torch.randn(128, _CHANNELS), torch.randn(_CHANNELS, pixels)
    yield _Work(
        "masks of 128 dynamic kernels",
        {kernel: partial(product, *factors, kernel) for kernel in _product_kernels()},
        cpu.product_kernel(keys.PRODUCTS),
    )
    for training in (False, True):
        chosen = memory_format(cfg, training=training)
        yield _Work(
            f"a convolution, {'training' if training else 'inference'}",
            {name: _convolution(form, training) for name, form in _FORMATS.items()},
            next(name for name, form in _FORMATS.items() if form == chosen),
        )
    chosen = memory_format(cfg, training=False)
    yield _Work(
        "the same in mixed precision",
        {
            "bfloat16": _convolution(chosen, False, torch.bfloat16),
            "float32": _convolution(chosen, False),
        },
        "bfloat16" if cpu.computes_in_bfloat16(keys.BFLOAT16) else "float32",
    )


def _exact_kernels() -> list[Intersections]:
    bits = [Intersections.BITS] if hasattr(np, "bitwise_count") else []
    return [Intersections.BYTES, *bits, Intersections.FLOAT32]


def _product_kernels() -> list[Products]:
    onednn = [Products.ONEDNN] if torch.backends.mkldnn.is_available() else []
    return [*onednn, Products.BLAS]


def _convolution(
    form: torch.memory_format, training: bool, dtype: torch.dtype | None = None
) -> Callable[[], object]:
    """Return a 3 x 3 convolution of a tower, in training with its gradients."""
    conv = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1).to(memory_format=form)
    features = torch.randn(1, _CHANNELS, _SIZE[0] // 8, _SIZE[1] // 8)
    features = features.to(memory_format=form).requires_grad_(training)

    def run() -> object:
        with (
            torch.set_grad_enabled(training),
            torch.autocast("cpu", dtype, enabled=dtype is not None),
        ):
            result = conv(features)
        if training:
            result.backward(features.detach())
        return result

    return run


def _median_ms(function: Callable[[], object], repeats: int) -> float:
    function()  # what is set up once does not count
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds))
