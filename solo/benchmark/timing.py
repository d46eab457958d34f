"""Timers that wait for the device, over the whole and over its stages, and the table they fill.

A stage is the time spent in some functions less what other stages take of it, so that stages add up.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from solo.benchmark.limit import counting_operations
from solo.benchmark.memory import peak_memory
from solo.errors import UserError

Owner = Any
"""What has a function by name: a module, a class, or an instance of one without slots."""

Stages = dict[str, Sequence[tuple[Owner, str]]]
"""Per stage, the functions whose time it is, each by its owner and its name."""

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
    """Adds up the time of stages, each without the stages inside it.

    Attributes:
        seconds: Per stage, since the last :meth:`lap`.
    """

    def __init__(self, device: torch.device) -> None:
        """Time what runs on a device, which is waited for at both ends of each stage."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._device = device
        self._clock: Callable[[], float] = time.perf_counter
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the body as that of a stage; the one around it is paused meanwhile."""
        self._switch()
        self._open.append(name)
        try:
            yield
        finally:
            self._switch()
            self._open.pop()

    @contextmanager
    def watching(self, stages: Stages) -> Iterator[None]:
        """Count the time of functions as that of stages while the body runs.

        Args:
            stages: The functions are exchanged for timed ones where they are, by their names.

        Raises:
            ValueError: If there is no such function.
        """
        with ExitStack() as stack:
            for stage, functions in stages.items():
                for owner, name in functions:
                    stack.enter_context(_replaced(owner, name, self._timed(owner, name, stage)))
            yield

    def each(self, items: Iterable[Any], stage: str) -> Iterator[Any]:
        """Yield items, and count the time that each takes to come as that of a stage."""
        iterator = iter(items)
        while True:
            with self.stage(stage):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def lap(self) -> dict[str, float]:
        """Return the seconds per stage since the last lap, and start another."""
        seconds, self.seconds = dict(self.seconds), defaultdict(float)
        return seconds

    @contextmanager
    def reading(self, clock: Callable[[], float]) -> Iterator[None]:
        """Read another clock than that of seconds while the body runs: operations, say."""
        self._clock, before = clock, self._clock
        try:
            yield
        finally:
            self._clock = before

    def _switch(self) -> None:
        """Give the time that has passed to the innermost open stage."""
        synchronize(self._device)
        now = self._clock()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _timed(self, owner: Owner, name: str, stage: str) -> Callable[..., Any]:
        function = getattr(owner, name, None)
        if function is None:
            what = getattr(owner, "__name__", type(owner).__name__)
            raise ValueError(
                f"the stage {stage!r} is the time of {what}.{name}, which there is not: mend the "
                "stages of the benchmark."
            )

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                return function(*args, **kwargs)

        return timed


@contextmanager
def _replaced(owner: Owner, name: str, value: Any) -> Iterator[None]:
    """Exchange an attribute of an owner for the time being."""
    inherited = name not in vars(owner)
    before = vars(owner).get(name)
    _put(owner, name, value)
    try:
        yield
    finally:
        if not inherited:
            _put(owner, name, before)
        elif isinstance(owner, type):
            delattr(owner, name)
        else:
            del vars(owner)[name]


def _put(owner: Owner, name: str, value: Any) -> None:
    # Frozen dataclasses refuse setattr, the dict of a class refuses to be written to.
    if isinstance(owner, type):
        setattr(owner, name, value)
    else:
        vars(owner)[name] = value


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(
    function: Callable[..., Any],
    *,
    stages: Stages,
    device: torch.device,
    repeats: int,
    prepare: Callable[[], Any] | None = None,
    warm_up: int = 2,
    watch: Stopwatch | None = None,
    progress: bool = False,
) -> list[Row]:
    """Measure a function and its stages.

    Args:
        function: What to measure.
        stages: See :meth:`Stopwatch.watching`.
        device: That it runs on.
        repeats: Runs that count.
        prepare: Makes the argument of each run, if it takes one; this is not timed.
        warm_up: Runs before them, at least one: the peak of memory is that of the first.
        watch: For functions that time stages themselves.
        progress: Whether to show a bar.

    Returns:
        A row per stage that was there, then the rest and the whole, which has the memory.

    Raises:
        UserError: If a number is below one.
        ValueError: If there is no such function.
    """
    if repeats < 1 or warm_up < 1:
        raise UserError(f"Cannot measure {repeats} times after {warm_up}: give 1 or more.")
    watch = watch or Stopwatch(device)
    arguments = (prepare(),) if prepare else ()
    peak_mb = peak_memory(partial(function, *arguments), device)
    laps = []
    with watch.watching(stages):
        for turn in tqdm(range(1 - warm_up, repeats), desc="repeats", disable=not progress):
            arguments = (prepare(),) if prepare else ()
            watch.lap()
            with watch.stage(REST):
                function(*arguments)
            if turn >= 0:
                laps.append(watch.lap())
        arguments = (prepare(),) if prepare else ()
        watch.lap()
        with counting_operations() as count, watch.reading(count), watch.stage(REST):
            function(*arguments)
        operations = watch.lap()
    return to_rows(laps, operations, peak_mb)


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
