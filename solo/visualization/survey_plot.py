"""One picture of a data set: sizes under the levels' ranges, objects per image, cells, classes.

Legend: M objects, I images, L levels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from solo.visualization.plots import COLORS, FAINT, INK, new_figure, save_figure, style_axes

# Classes that have room; of more, the most frequent ones are drawn.
_MAX_CLASSES = 20
_OBJECTS_COLOR = "#9aa7b4"
# Of sets of settings; the other colours stand for levels.
_SETTINGS_COLORS = ("#c3ccd5", "#34495e")


class LevelSettings(NamedTuple):
    """The levels of one config, and what became of their cells."""

    sides: Sequence[int]  # L, cells per side
    ranges: Sequence[Sequence[float]]  # L, smallest and largest size in pixels
    shared: Sequence[float]  # L, share of the positive cells that several objects claim


def plot_survey(
    output_png: Path,
    *,
    sizes: np.ndarray,
    objects: np.ndarray,
    class_counts: Mapping[str, int],
    settings: Mapping[str, LevelSettings],
    verdict: Sequence[str] = (),
) -> None:
    """Plot what a data set looks like to a model.

    Args:
        output_png: The picture to write.
        sizes: (M,) sqrt(w * h) of the objects, in pixels of the input.
        objects: (I,) objects per image.
        class_counts: Objects per name of a class.
        settings: The levels of one or two configs by name, such as "present" and "proposed".
        verdict: Lines above all.
    """
    figure = new_figure(13, 7.6 + 0.24 * len(verdict))
    if verdict:
        text = "\n".join(verdict)
        figure.suptitle(text, x=0.01, ha="left", fontsize=12, color=INK, linespacing=1.4)
    grid = figure.add_gridspec(4, 2, width_ratios=(1.6, 1))
    size_axes = figure.add_subplot(grid[0:2, 0])
    range_axes = figure.add_subplot(grid[2:4, 0], sharex=size_axes)
    _plot_sizes(size_axes, sizes)
    _plot_ranges(range_axes, sizes, settings)

    # Three panels on the right, the last one with room for names.
    right = grid[:, 1].subgridspec(3, 1, height_ratios=(1, 1, 1.3))
    _plot_objects(figure.add_subplot(right[0]), objects)
    _plot_shared(figure.add_subplot(right[1]), settings)
    _plot_classes(figure.add_subplot(right[2]), class_counts)
    save_figure(figure, output_png)


def _plot_sizes(axes: Axes, sizes: np.ndarray) -> None:
    percentiles = np.percentile(sizes, [1, 50, 99])
    title = ", ".join(f"{size:.0f}" for size in percentiles)
    style_axes(axes, f"object sizes; 1st, 50th and 99th percentile: {title} px", "")
    sizes = np.maximum(sizes, 1)
    bins = np.geomspace(sizes.min() / 1.05, sizes.max() * 1.05, 60)
    axes.hist(sizes, bins.tolist(), color=_OBJECTS_COLOR)
    for size in percentiles:
        axes.axvline(size, color=INK, linewidth=1, linestyle=":")
    axes.set_ylabel("objects", color=FAINT)
    axes.tick_params(labelbottom=False)


def _plot_ranges(axes: Axes, sizes: np.ndarray, settings: Mapping[str, LevelSettings]) -> None:
    """Draw each level's range as a bar under the sizes."""
    style_axes(axes, "ranges of the levels", "sqrt(w * h) in px of the input")
    axes.set_xscale("log")
    # Ranges are open at their ends: what lies far from all objects is cut off.
    left, right = max(sizes.min() / 1.4, 1), sizes.max() * 1.4
    axes.set_xlim(left, right)
    _label_octaves(axes)
    names, rows, row = [], [], 0.0
    for name, levels in settings.items():
        for level, (side, limits) in enumerate(zip(levels.sides, levels.ranges, strict=True)):
            low, high = np.clip(limits, left, right)
            color = COLORS[level % len(COLORS)]
            axes.barh(row, high - low, left=low, height=0.72, color=color, alpha=0.75)
            if high > low:
                text = f"{side} x {side}, {round(limits[0], 1):g} to {round(limits[1], 1):g} px"
                _label_bar(axes, text, (low * high) ** 0.5, row)
            names.append(f"{name} {level}")
            rows.append(row)
            row += 1
        row += 0.5
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")


def _label_bar(axes: Axes, text: str, middle: float, row: float) -> None:
    # A short bar's label would leave the panel at one side: it is pushed back.
    left, right = np.log(axes.get_xlim())
    place = (np.log(middle) - left) / (right - left)
    x, transform = np.clip(place, 0.16, 0.84), axes.get_yaxis_transform()
    axes.text(x, row, text, transform=transform, ha="center", va="center", fontsize=9, color=INK)


def _label_octaves(axes: Axes) -> None:
    """Put ticks at powers of two, and between them where there is room."""
    left, right = axes.get_xlim()
    ticks = [2**octave for octave in range(16)]
    if right / left < 64:
        ticks += [3 * tick // 2 for tick in ticks[1:]]
    axes.set_xticks([tick for tick in ticks if left <= tick <= right])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


def _plot_objects(axes: Axes, objects: np.ndarray) -> None:
    style_axes(axes, "objects per image", "")
    bins = np.arange(objects.max() + 2) - 0.5
    edges = bins.tolist() if len(bins) < 60 else 50
    axes.hist(objects, edges, color=_OBJECTS_COLOR, rwidth=0.85)
    axes.set_ylabel("images", color=FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _plot_shared(axes: Axes, settings: Mapping[str, LevelSettings]) -> None:
    """Draw, per level and set of settings, how many cells several objects claim."""
    style_axes(axes, "cells that several objects claim", "level")
    width = 0.8 / len(settings)
    for index, (name, levels) in enumerate(settings.items()):
        places = np.arange(len(levels.shared)) + (index - (len(settings) - 1) / 2) * width
        percent, color = 100 * np.asarray(levels.shared), _SETTINGS_COLORS[index]
        bars = axes.bar(places, percent, 0.9 * width, color=color, label=name)
        axes.bar_label(bars, fmt="%.1f", fontsize=8.5, color=FAINT)
    axes.set_ylabel("%", color=FAINT)
    # Room for the legend and the numbers.
    axes.set_ylim(0, max(1.5 * axes.get_ylim()[1], 1))
    axes.set_xticks(range(max(len(levels.shared) for levels in settings.values())))
    axes.grid(False, axis="x")
    axes.legend(fontsize=9, frameon=False, ncols=2, loc="upper right", labelcolor=INK)


def _plot_classes(axes: Axes, class_counts: Mapping[str, int]) -> None:
    ranked = sorted(class_counts.items(), key=lambda pair: -pair[1])[:_MAX_CLASSES]
    more = len(class_counts) - len(ranked)
    hidden = f" ({more} more not shown)" if more else ""
    style_axes(axes, f"objects per class{hidden}", "")
    axes.bar([name for name, _ in ranked], [count for _, count in ranked], color=_OBJECTS_COLOR)
    axes.tick_params(axis="x", rotation=45 if len(ranked) <= 10 else 90)
    axes.set_ylabel("objects", color=FAINT)
    axes.grid(False, axis="x")
