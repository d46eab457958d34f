"""How time and memory grow with what there is to do."""

from collections.abc import Callable
from typing import Any, NamedTuple

from solo.benchmark.models import Workload
from solo.benchmark.timing import Row

# Ascending: what a large one leaves behind must not help a small one.
VALUES: dict[str, tuple[Any, ...]] = {
    "candidates": (10, 30, 100, 200, 500),
    "objects": (5, 10, 20, 40, 80),
    "size": ((256, 352), (448, 608), (640, 864), (800, 1088), (800, 1344)),
}


class SweepRow(NamedTuple):
    """What takes how long at one value.

    Attributes:
        parameter: A field of `Workload`.
        value: Its value; of sizes the pixels.
        median_ms: Median over the repeats.
        p90_ms: 90th percentile over the repeats.
        peak_mb: See `Row`.
    """

    parameter: str
    value: int
    median_ms: float
    p90_ms: float
    peak_mb: float | None


def sweep(measure: Callable[[Workload], Row], workload: Workload, parameter: str) -> list[SweepRow]:
    """Measure the whole at several values of a parameter.

    Args:
        measure: Measures a workload.
        workload: Says the rest.
        parameter: A key of VALUES.
    """
    rows = []
    for value in VALUES[parameter]:
        row = measure(workload._replace(**{parameter: value}))
        number = value[0] * value[1] if parameter == "size" else value
        rows.append(SweepRow(parameter, number, row.median_ms, row.p90_ms, row.peak_mb))
    return rows
