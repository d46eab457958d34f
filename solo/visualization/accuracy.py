"""Plots of what a trained model gets right: precision over recall, and counts of errors.

Legend: T IoU thresholds of COCO, 0.5 to 0.95, R recalls from 0 to 1, K classes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from solo.structures.instances import class_name
from solo.visualization.plots import COLORS, FAINT, INK, new_figure, save_figure, style_axes

# Panels beside the first one, which has the mean of all classes.
MAX_CLASS_PANELS = 11
_COLUMNS = 4
_IOU_75 = 5  # row of the thresholds


def class_aps(precision: np.ndarray) -> np.ndarray:
    """Return the AP of each class, 0 to 1, nan for those without objects.

    Args:
        precision: (..., R, K), -1 where a class has no objects.

    Returns:
        (..., K).
    """
    return np.where(precision[..., 0, :] < 0, np.nan, precision.mean(axis=-2))


def plot_precision_recall(
    precision: np.ndarray, class_names: Sequence[str], output_png: Path
) -> None:
    """Plot precision over recall at IoU 0.5, at 0.75 and as the mean over the thresholds.

    The first panel is the mean of all classes, where there are several. Of more classes than there are
    panels, those of the lowest AP are drawn.

    Args:
        precision: (T, R, K), -1 where a class has no objects.
        class_names: Name per class.
        output_png: Where to.

    Raises:
        ValueError: No class has objects.
    """
    aps = class_aps(precision).mean(axis=0)
    present = np.flatnonzero(~np.isnan(aps))
    if not len(present):
        raise ValueError("No class has an object: there is no curve to draw.")
    drawn = present
    if len(drawn) > MAX_CLASS_PANELS:
        drawn = drawn[np.argsort(aps[drawn], kind="stable")[:MAX_CLASS_PANELS]]
    panels = [(class_name(k, class_names), precision[:, :, k]) for k in drawn.tolist()]
    if len(panels) > 1:
        panels.insert(0, ("all classes", precision[:, :, present].mean(axis=2)))

    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(3.25 * columns, 0.5 + 2.3 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, curves) in zip(grid, panels, strict=False):
        _draw_curves(axes, name, curves)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[len(panels) - columns : len(panels)]:
        # Where the panel below is empty the shared labels would be missing.
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("recall", color=FAINT)
    for axes in grid[::columns]:
        axes.set_ylabel("precision", color=FAINT)
    grid[0].legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="lower left")
    save_figure(figure, output_png)


def plot_error_counts(
    predictions: Sequence[int], objects: Sequence[int], titles: Sequence[str], output_png: Path
) -> None:
    """Draw two bars per kind of error: its predictions and its objects.

    Args:
        predictions: How many predictions are of each kind.
        objects: Likewise of objects.
        titles: Of the kinds.
        output_png: Where to.
    """
    figure = new_figure(11, 0.7 + 0.48 * len(titles))
    axes = figure.subplots()
    style_axes(axes, "", "count")
    places = np.arange(len(titles))
    for counts, offset, color, label in (
        (predictions, -0.19, COLORS[1], "predictions"),
        (objects, 0.19, COLORS[0], "objects"),
    ):
        bars = axes.barh(places + offset, counts, 0.36, color=color, label=label)
        # A kind that is for the other ones only has no number.
        axes.bar_label(bars, [str(c) if c else "" for c in counts], padding=4, color=INK)
    axes.set_yticks(places, titles, color=INK, fontsize=11)
    axes.set_xlim(0, max(1, *predictions, *objects) * 1.08)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.legend(frameon=False, labelcolor=INK, loc="lower right")
    save_figure(figure, output_png)


def _draw_curves(axes: Axes, name: str, curves: np.ndarray) -> None:
    """Draw the three curves of (T, R) precisions."""
    recalls = np.linspace(0, 1, curves.shape[1])
    mean = curves.mean(axis=0)
    style_axes(axes, name, "")
    axes.set_title(f"AP {100 * mean.mean():.1f}", loc="right", fontsize=10, color=FAINT)
    axes.fill_between(recalls, mean, color=INK, alpha=0.07, linewidth=0)
    for values, label, color in (
        (curves[0], "IoU 0.5", COLORS[0]),
        (curves[_IOU_75], "IoU 0.75", COLORS[1]),
        (mean, "mean, 0.5 to 0.95", INK),
    ):
        axes.plot(recalls, values, color=color, linewidth=1.6, label=label)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
