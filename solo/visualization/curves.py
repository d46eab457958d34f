"""Training curves out of the metrics.json that detectron2 writes: losses, learning rate, AP, targets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from solo.errors import UserError
from solo.visualization.plots import (
    COLORS,
    FAINT,
    INK,
    cycle_colors,
    new_row,
    save_figure,
    style_axes,
)

# Per quantity: its values by iteration, both rising with time.
Metrics = dict[str, list[tuple[int, float]]]

_POSITIVES = "targets/positives_level"
# Share of a panel's height that two labels at the right end keep from each other.
_LABEL_STEP = 0.065


def read_metrics(metrics_json: Path) -> Metrics:
    """Read the numbers of a run.

    Where training was resumed, what the run had written beyond the point of resumption is dropped
    as soon as the same quantity is written again: the later line wins. Lines that are broken, as
    the last one of a run that was killed, are passed over.

    Args:
        metrics_json: The file; one JSON object per line.

    Returns:
        Per quantity, (iteration, value) with rising iterations.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It holds no numbers.
    """
    if not metrics_json.is_file():
        raise FileNotFoundError(f"{metrics_json}: no such file. Give the output folder of a run.")
    metrics: Metrics = {}
    for line in metrics_json.read_text(encoding="utf-8", errors="replace").splitlines():
        for name, iteration, value in _parse_line(line):
            series = metrics.setdefault(name, [])
            while series and series[-1][0] >= iteration:
                series.pop()
            series.append((iteration, value))
    if not metrics:
        raise UserError(f"{metrics_json}: holds no numbers yet. Wait for the first ones.")
    return metrics


def plot_metrics(metrics_json: Path, output_png: Path) -> None:
    """Plot the losses, the learning rate and the AP of one run over its iterations.

    Positive cells per level, too, where the run logged them.

    Args:
        metrics_json: As detectron2 writes it.
        output_png: The picture to write.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It holds no numbers.
    """
    metrics = read_metrics(metrics_json)
    losses = sorted(name for name in metrics if name.startswith("loss"))
    colors = cycle_colors(len(losses))
    if "total_loss" in metrics:
        losses, colors = ["total_loss", *losses], [INK, *colors]
    aps = [name for kind in ("segm/AP", "bbox/AP") for name in sorted(metrics) if _is(name, kind)]
    positives = sorted(name for name in metrics if name.startswith(_POSITIVES))

    # Iterations are the same in all panels, though AP is measured rarely and late.
    figure, panels = new_row(4 if positives else 3)
    _draw_panel(panels[0], "loss", _labelled(metrics, losses), colors)
    _draw_panel(panels[1], "learning rate", {"": metrics.get("lr", [])}, [COLORS[0]])
    _draw_panel(panels[2], "AP", _labelled(metrics, aps), cycle_colors(len(aps)))
    if positives:
        levels = _labelled(metrics, positives)
        _draw_panel(panels[3], "positive cells per image", levels, cycle_colors(len(levels)))
    save_figure(figure, output_png)


def plot_runs(runs: Mapping[str, Path], output_png: Path) -> None:
    """Compare runs: the total loss, the learning rate and the mask AP of each, over its iterations.

    Args:
        runs: metrics.json per name of a run.
        output_png: The picture to write.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: One holds no numbers.
        ValueError: There are no runs.
    """
    if not runs:
        raise ValueError("There are no runs to compare; give at least one.")
    metrics = {name: read_metrics(path) for name, path in runs.items()}
    colors = cycle_colors(len(metrics))
    figure, (loss_axes, lr_axes, ap_axes) = new_row(3)
    _draw_panel(loss_axes, "total loss", _pick(metrics, "total_loss"), colors)
    _draw_panel(lr_axes, "learning rate", _pick(metrics, "lr"), colors)
    _draw_panel(ap_axes, "mask AP", _pick(metrics, "segm/AP"), colors)
    save_figure(figure, output_png)


def _parse_line(line: str) -> list[tuple[str, int, float]]:
    try:
        record = json.loads(line)
        iteration = int(record.pop("iteration"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
    numbers = ((name, value) for name, value in record.items() if isinstance(value, int | float))
    return [(name, iteration, float(value)) for name, value in numbers]


def _is(name: str, kind: str) -> bool:
    # With several test sets, detectron2 puts the data set's name before it.
    return name == kind or name.endswith(f"/{kind}")


def _pick(metrics: Mapping[str, Metrics], kind: str) -> dict[str, list[tuple[int, float]]]:
    found = {}
    for run, series in metrics.items():
        names = [name for name in series if _is(name, kind)]
        found[run] = series[names[0]] if names else []
    return found


def _labelled(metrics: Metrics, names: Sequence[str]) -> Metrics:
    return {_label(name): metrics[name] for name in names}


def _label(name: str) -> str:
    if name == "total_loss":
        return "total"
    if name.startswith("loss"):
        return name.removeprefix("loss_").replace("_", " ")
    if name.startswith(_POSITIVES):
        return f"level {name.removeprefix(_POSITIVES)}:"
    return name.replace("segm/AP", "mask AP").replace("bbox/AP", "box AP").replace("/", " ")


def _draw_panel(
    axes: Axes, title: str, series: Mapping[str, Sequence[tuple[int, float]]], colors: Sequence[str]
) -> None:
    style_axes(axes, title, "iteration")
    drawn = []
    for (label, points), color in zip(series.items(), colors, strict=True):
        values = np.asarray([p for p in points if np.isfinite(p[1])], dtype=float).reshape(-1, 2)
        if len(values):
            # A few measurements, as of AP, are marked one by one; hundreds would hide the line.
            marker = "o" if len(values) <= 30 else None
            axes.plot(*values.T, color=color, linewidth=1.8, marker=marker, markersize=4)
            drawn.append((label, color, values[-1]))
    if not drawn:
        axes.text(0.5, 0.5, f"no {title} yet", transform=axes.transAxes, ha="center", color=FAINT)
        axes.set_yticks([])
        return
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    _label_ends(axes, drawn)


def _label_ends(axes: Axes, drawn: Sequence[tuple[str, str, np.ndarray]]) -> None:
    """Write each line's name and last value at its right end, apart from one another."""
    top = axes.get_ylim()[1]
    heights = np.asarray([end[1] / top for _, _, end in drawn])
    order = np.argsort(heights)
    for index, height in zip(order, spread_apart(heights[order]), strict=True):
        label, color, end = drawn[index]
        text = f"{label} {end[1]:.3g}".strip()
        axes.text(
            1.015, height, text, transform=axes.transAxes, va="center", fontsize=9.5, color=color
        )


def spread_apart(heights: np.ndarray) -> np.ndarray:
    """Move sorted heights, in shares of a panel, so far apart that labels there do not touch."""
    placed = np.clip(heights, 0.02, 0.98)
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + _LABEL_STEP)
    # Those pushed over the upper edge push back down.
    return np.minimum(placed, 0.98 - _LABEL_STEP * np.arange(len(placed))[::-1])
