"""Timers that wait for the device, over the whole and over its stages, and the table they fill.

The stages are those that the code marks; see :mod:`solo.layers.stages`. A stage is the time of its body less
what other stages take of it, so that stages add up.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import trange

from solo.benchmark.limit import counting_operations
from solo.benchmark.memory import peak_memory
from solo.errors import UserError
from solo.layers.stages import heard_by

REST = "the rest"
HEADERS = ("stage", "median, ms", "p90, ms", "peak, MB", "GFLOP/s")
"""Of the columns of a table of rows."""


class Row(NamedTuple):
    """How long something takes.

    Attributes:
        name: What it is.
        median_ms: Median over the repeats.
        p90_ms: 90th percentile over the repeats.
        peak_mb: Memory it needs above what there was before, in MB of a million bytes; None: not
            measured.
        gflops: Floating-point operations of its products and convolutions, in 10^9 a second of the
            median; None: it has none.
    """

    name: str
    median_ms: float
    p90_ms: float
    peak_mb: float | None = None
    gflops: float | None = None


class Stopwatch:
    """Adds up what a clock counts in each stage, without the stages inside it.

    Attributes:
        counts: By the names of the stages: seconds, say.
    """

    def __init__(
        self, device: torch.device, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Time what runs on a device, which is waited for at both ends of each stage."""
        self.counts: dict[str, float] = defaultdict(float)
        self._device = device
        self._clock = clock
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the body as a stage; the one around it is paused meanwhile."""
        self._switch()
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    def _switch(self) -> None:
        """Give what has passed to the innermost open stage."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = self._clock()
        if self._open:
            self.counts[self._open[-1]] += now - self._since
        self._since = now


def count_stages(
    function: Callable[[], object],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Run a function; return what the clock counts in each of its stages, and in the rest."""
    watch = Stopwatch(device, clock)
    with heard_by(watch.stage), watch.stage(REST):
        function()
    return watch.counts


def measure(
    function: Callable[..., object],
    *,
    device: torch.device,
    repeats: int,
    prepare: Callable[[], Any] | None = None,
    progress: bool = False,
) -> list[Row]:
    """Measure a function and its stages.

    Args:
        function: What to measure.
        device: That it runs on.
        repeats: Runs that count; two come before them, and the peak of memory is that of the first.
        prepare: Makes the argument of each run, if it takes one; this is not timed.
        progress: Whether to show a bar.

    Returns:
        A row per stage that was there, then the rest and the whole, which has the memory.

    Raises:
        UserError: If it is not measured once.
    """
    if repeats < 1:
        raise UserError(f"Cannot measure {repeats} times: give 1 or more.")

    def ready() -> Callable[[], object]:
        return partial(function, prepare()) if prepare else function

    peak_mb = peak_memory(ready(), device)
    laps = [
        count_stages(ready(), device)
        for _ in trange(1 + repeats, desc="repeats", disable=not progress)
    ]
    run = ready()
    with counting_operations() as count:
        operations = count_stages(run, device, count)
    return to_rows(laps[1:], operations, peak_mb)


def to_rows(
    laps: Sequence[dict[str, float]], operations: dict[str, float], peak_mb: float | None
) -> list[Row]:
    """Turn the seconds per stage of each repeat into rows, in the order in which stages began."""
    names = dict.fromkeys(name for lap in laps for name in lap if name != REST)
    rows = [
        to_row(name, [lap.get(name, 0.0) for lap in laps], operations=operations.get(name, 0))
        for name in (*names, REST)
    ]
    total = to_row("all", [sum(lap.values()) for lap in laps], peak_mb, sum(operations.values()))
    return [*rows, total]


def to_row(
    name: str, seconds: Sequence[float], peak_mb: float | None = None, operations: float = 0
) -> Row:
    """Turn the seconds of each repeat, and the operations of one, into a row."""
    median, p90 = 1000 * np.percentile(seconds, (50, 90))
    gflops = round(operations / median / 1e6, 1) if operations else None
    return Row(name, float(median), float(p90), peak_mb and round(peak_mb, 1), gflops)
