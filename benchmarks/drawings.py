"""Pictures of what benchmarks found: how cost grows, and how ours does beside others'."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from solo.errors import UserError
from solo.visualization.plots import COLORS, INK, new_figure, new_panels, save_figure, style_axes

_UNITS = {"size": "pixels of the input", "candidates": "candidates", "objects": "objects"}


def plot_sweep(rows: Sequence[Mapping[str, Any]], output_png: Path) -> None:
    """Draw time and, where it was measured, memory over the parameter that was varied.

    Args:
        rows: Of a sweep: parameter, value, median_ms, p90_ms and peak_mb.
        output_png: Where to.
    """
    values = [row["value"] for row in rows]
    figure, (time, memory) = new_panels(2)
    for axes, key, title in (
        (time, "median_ms", "time, ms"),
        (memory, "peak_mb", "peak memory, MB"),
    ):
        style_axes(axes, title, _UNITS[rows[0]["parameter"]])
        numbers = [row[key] for row in rows]
        if None not in numbers:
            axes.plot(values, numbers, marker="o", color=COLORS[0])
        axes.set_ylim(bottom=0, top=1.1 * max(filter(None, numbers), default=1))
    time.fill_between(
        values, [row["median_ms"] for row in rows], [row["p90_ms"] for row in rows], alpha=0.2
    )
    save_figure(figure, output_png)


def plot_comparison(rows: Sequence[Mapping[str, Any]], output_png: Path) -> None:
    """Draw how many times faster, and smaller in memory, ours is than mmdetection: a bar per case.

    Args:
        rows: Of `benchmarks/compare_mmdet.py`: name, speedup, lowest, highest and memory_share.
        output_png: Where to.

    Raises:
        UserError: If there are no rows.
    """
    if not rows:
        raise UserError("There are no rows to draw: measure something first.")
    figure = new_figure(12, 1.2 + 0.28 * len(rows))
    time, memory = figure.subplots(1, 2, sharey=True)
    places = range(len(rows))
    # A median need not lie within the ratios of the turns.
    spread = [
        [max(row["speedup"] - row["lowest"], 0) for row in rows],
        [max(row["highest"] - row["speedup"], 0) for row in rows],
    ]
    smaller = [1 / row["memory_share"] if row["memory_share"] else 1 for row in rows]
    _bars(time, [row["speedup"] for row in rows], COLORS[0], xerr=spread, ecolor=INK, capsize=2)
    _bars(memory, smaller, COLORS[2])
    style_axes(time, "times faster", "median, lowest and highest")
    style_axes(memory, "times less memory", "of the peaks")
    # A key that is on says enough by its name.
    time.set_yticks(places, [row["name"].replace(" True", "") for row in rows])
    time.set_ylim(-0.7, len(rows) - 0.3)
    time.invert_yaxis()
    save_figure(figure, output_png)


def _bars(axes: Axes, ratios: Sequence[float], color: str, **errors: Any) -> None:
    """Draw bars that begin at 1: twice as much is as long as half as much."""
    axes.barh(range(len(ratios)), [ratio - 1 for ratio in ratios], left=1, color=color, **errors)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.axvline(1, color=INK, linewidth=1)
