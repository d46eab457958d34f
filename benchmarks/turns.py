"""Ours beside theirs, in turns, so that what else the machine does falls on both."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Comparison(NamedTuple):
    """How ours does beside theirs.

    Attributes:
        name: What was compared.
        ours_ms: Median over the turns.
        theirs_ms: Median over the turns.
        speedup: Of the medians, theirs to ours: how many times faster ours is.
        lowest: The smallest speedup of a turn.
        highest: The largest.
        ours_mb: Peak of memory, in MB of a million bytes; None: not measured.
        theirs_mb: Peak of memory.
        memory_share: Ours to theirs.
        note: What was found equal.
    """

    name: str
    ours_ms: float
    theirs_ms: float
    speedup: float
    lowest: float
    highest: float
    ours_mb: float | None = None
    theirs_mb: float | None = None
    memory_share: float | None = None
    note: str = ""

    def with_memory(self, ours_mb: float | None, theirs_mb: float | None) -> "Comparison":
        """Add the peaks of memory, where they are known."""
        if not ours_mb or not theirs_mb:
            return self
        share = round(ours_mb / theirs_mb, 3)
        return self._replace(
            ours_mb=round(ours_mb, 1), theirs_mb=round(theirs_mb, 1), memory_share=share
        )


def take_turns(*functions: Callable[[], Any], repeats: int) -> tuple[list[float], ...]:
    """Run the first, the second and so on, then the first again.

    Returns:
        The seconds of each turn, of each function.
    """
    seconds: tuple[list[float], ...] = tuple([] for _ in functions)
    for _ in range(repeats):
        for function, times in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return seconds


def compare(
    name: str, ours_s: Sequence[float], theirs_s: Sequence[float], note: str = ""
) -> Comparison:
    """Compare the seconds of turns."""
    ours, theirs = np.asarray(ours_s), np.asarray(theirs_s)
    ratios = theirs / ours
    medians = 1000 * float(np.median(ours)), 1000 * float(np.median(theirs))
    return Comparison(
        name,
        *medians,
        speedup=medians[1] / medians[0],
        lowest=float(ratios.min()),
        highest=float(ratios.max()),
        note=note,
    )
