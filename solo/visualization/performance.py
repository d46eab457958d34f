"""Pictures of what benchmarks found: how cost grows, and how ours does beside others'."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solo.visualization.plots import COLORS, INK, new_figure, new_row, save_figure, style_axes

_UNITS = {"size": "pixels of the input", "candidates": "candidates", "objects": "objects"}


def plot_sweep(rows: Sequence[Mapping[str, Any]], output_png: Path) -> None:
    """Draw time and, where it was measured, memory over the parameter that was varied.

    Args:
        rows: Of a sweep: parameter, value, median_ms, p90_ms and peak_mb.
        output_png: Where to.
    """
    values = [row["value"] for row in rows]
    figure, (time, memory) = new_row(2)
    for axes, key, title in (
        (time, "median_ms", "time, ms"),
        (memory, "peak_mb", "peak memory, MB"),
    ):
        style_axes(axes, title, _UNITS[rows[0]["parameter"]])
        numbers = [row[key] for row in rows]
        if None not in numbers:
            axes.plot(values, numbers, marker="o", color=COLORS[0])
        axes.set_ylim(bottom=0)
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
        ValueError: If there are no rows.
    """
    if not rows:
        raise ValueError("There are no rows to draw: measure something first.")
    figure = new_figure(11, 1.2 + 0.28 * len(rows))
    time, memory = figure.subplots(1, 2, sharey=True)
    places = range(len(rows))
    speedups = [row["speedup"] for row in rows]
    spread = [
        [row["speedup"] - row["lowest"] for row in rows],
        [row["highest"] - row["speedup"] for row in rows],
    ]
    # A median need not lie within the ratios of the turns.
    spread = [[max(length, 0) for length in side] for side in spread]
    time.barh(places, speedups, color=COLORS[0], xerr=spread, ecolor=INK, capsize=2)
    shares = [row["memory_share"] for row in rows]
    memory.barh(places, [1 / share if share else 0 for share in shares], color=COLORS[2])
    for axes, title in ((time, "times faster than mmdetection"), (memory, "times less memory")):
        style_axes(axes, title, "median, lowest and highest" if axes is time else "of the peaks")
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_yticks(places, [row["name"] for row in rows])
    time.invert_yaxis()
    save_figure(figure, output_png)
