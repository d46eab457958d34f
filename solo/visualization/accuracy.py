"""Plots of what a trained model gets right: precision over recall, F1 over the threshold.

Legend: T IoU thresholds of COCO, 0.5 to 0.95, R recalls from 0 to 1, K classes, S thresholds of the score.
"""

import math
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
    grid[0].legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="best")
    save_figure(figure, output_png)


def plot_over_threshold(
    thresholds: np.ndarray,
    precision: np.ndarray,
    recall: np.ndarray,
    f1: np.ndarray,
    best: float,
    output_png: Path,
) -> None:
    """Plot precision, recall and F1 over the score from which on predictions are shown.

    Args:
        thresholds: (S,).
        precision: (S,), 0 to 1, nan where nothing is shown.
        recall: Likewise.
        f1: Likewise.
        best: The threshold to mark; nan: none is.
        output_png: Where to.
    """
    figure = new_figure(8.4, 3.9)
    axes = figure.subplots()
    style_axes(axes, "", "threshold: predictions of this score or more are shown")
    for values, label, color, width in (
        (precision, "precision", COLORS[0], 1.6),
        (recall, "recall", COLORS[1], 1.6),
        (f1, "F1", INK, 2.2),
    ):
        axes.plot(thresholds, values, color=color, linewidth=width, label=label)
    if not math.isnan(best):
        height = float(np.interp(best, thresholds, f1))
        axes.axvline(best, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.plot(best, height, "o", color=INK, markersize=7)
        axes.set_title(f"F1 {height:.2f}, at {best:.2f}", loc="right", fontsize=11, color=INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    # Beside the axes: where the curves leave room depends on the model.
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
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
