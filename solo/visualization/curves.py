"""Training curves out of the metrics.json that detectron2 writes: losses, learning rate, AP, targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from solo.errors import UserError
from solo.reached import logged_lines, steps_taken
from solo.visualization.line_panels import draw_panel, mark_best
from solo.visualization.plots import COLORS, INK, cycle_colors, new_panels, save_figure

# Per quantity: its values by iteration, both rising with time.
Metrics = dict[str, list[tuple[int, float]]]

_POSITIVES = "targets/positives_level"
_APS = ("segm/AP", "boundary/AP", "bbox/AP")
_TIMES = {"time": "total", "data_time": "data"}


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
    for line in logged_lines(metrics_json):
        iteration = line.pop("iteration")
        for name, value in line.items():
            if isinstance(value, int | float):
                series = metrics.setdefault(name, [])
                while series and series[-1][0] >= iteration:
                    series.pop()
                series.append((iteration, float(value)))
    if not metrics:
        raise UserError(f"{metrics_json}: holds no numbers yet. Wait for the first ones.")
    return metrics


def plot_metrics(
    metrics_json: Path,
    output_png: Path,
    *,
    title: str = "",
    epoch: float = 0.0,
    best_metric: str = "segm/AP",
    best_file: str = "",
) -> None:
    """Plot the losses, the learning rate, the AP and the time of one run over its iterations.

    Positive cells per level, too, where the run logged them. A star marks the best evaluation.

    Args:
        metrics_json: As detectron2 writes it.
        output_png: The picture to write.
        title: What is known of the run. Empty: the name of its folder.
        epoch: Iterations of one. 0: not known.
        best_metric: Name of the AP that says which evaluation is the best.
        best_file: Name of the checkpoint that was kept of it.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It holds no numbers.
    """
    metrics = _read_counted(metrics_json)
    losses = sorted(name for name in metrics if name.startswith("loss"))
    colors = cycle_colors(len(losses))
    if "total_loss" in metrics:
        losses, colors = ["total_loss", *losses], [INK, *colors]
    aps = [name for kind in _APS for name in sorted(metrics) if _is(name, kind)]
    panels = [
        _Panel("loss", _labelled(metrics, losses), colors),
        _Panel("learning rate", {"": metrics.get("lr", [])}, [COLORS[0]]),
        _Panel("AP", _labelled(metrics, aps), cycle_colors(len(aps)), "percent"),
    ]
    if positives := sorted(name for name in metrics if name.startswith(_POSITIVES)):
        levels = _labelled(metrics, positives)
        panels.append(_Panel("positive cells per image", levels, cycle_colors(len(levels))))
    if times := {name: metrics[key] for key, name in _TIMES.items() if key in metrics}:
        colors = cycle_colors(len(times))
        panels.append(_Panel("time of an iteration", times, colors, "seconds"))

    # Iterations are the same in all panels, though AP is measured rarely and late.
    figure, axes = new_panels(len(panels))
    for one, panel in zip(axes, panels, strict=True):
        draw_panel(one, panel.title, panel.series, panel.colors, unit=panel.unit, epoch=epoch)
    _tell_best(axes[2], {name: metrics[name] for name in aps}, best_metric, best_file)
    _set_title(figure, title or metrics_json.resolve().parent.name)
    save_figure(figure, output_png)


def plot_runs(
    runs: Mapping[str, Path], output_png: Path, titles: Mapping[str, str] | None = None
) -> None:
    """Compare runs: the total loss, the learning rate and the AP of each, over its iterations.

    That is of masks, or of boxes where no run measured masks. A star marks the best evaluation of each.

    Args:
        runs: metrics.json per name of a run.
        output_png: The picture to write.
        titles: What is known of each, for the legend. None: the names.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: One holds no numbers.
        ValueError: There are no runs.
    """
    if not runs:
        raise ValueError("There are no runs to compare; give at least one.")
    metrics = {name: _read_counted(path) for name, path in runs.items()}
    colors = cycle_colors(len(metrics))
    figure, (loss_axes, lr_axes, ap_axes) = new_panels(3, legend_lines=len(runs))
    draw_panel(loss_axes, "total loss", _pick(metrics, "total_loss"), colors)
    draw_panel(lr_axes, "learning rate", _pick(metrics, "lr"), colors)
    kind = next((one for one in _APS if any(_pick(metrics, one).values())), _APS[0])
    aps, noun = _pick(metrics, kind), _label(kind)
    draw_panel(ap_axes, noun, aps, colors, unit="percent")
    handles = []
    for name, color in zip(runs, colors, strict=True):
        best = mark_best(ap_axes, aps[name], color)
        told = f"; best {noun} {best[1]:.1f}, iteration {best[0]:,}" if best else ""
        label = f"{(titles or {}).get(name, name)}{told}"
        handles.append(Line2D([], [], color=color, linewidth=2.5, label=label))
    legend = figure.legend(handles=handles, loc="outside lower left", frameon=False, labelcolor=INK)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may have the signs of a formula
    _set_title(figure, f"{len(runs)} runs")
    save_figure(figure, output_png)


def _read_counted(metrics_json: Path) -> Metrics:
    """Read the numbers of a run, its AP by the steps that were taken until then, as all else tells of it."""
    metrics, taken = read_metrics(metrics_json), steps_taken(metrics_json)
    for name, points in metrics.items():
        if any(_is(name, kind) for kind in _APS):
            metrics[name] = [(taken.get(iteration, iteration), ap) for iteration, ap in points]
    return metrics


class _Panel(NamedTuple):
    title: str
    series: Metrics
    colors: Sequence[str]
    unit: str = ""


def _tell_best(axes: Axes, series: Metrics, name: str, file: str) -> None:
    colors = dict(zip(series, cycle_colors(len(series)), strict=True))
    best = mark_best(axes, series[name], colors[name]) if name in series else None
    if not best:
        return
    noun = _label("/".join(name.split("/")[-2:]))  # without the name of the data set
    told = f"\N{BLACK STAR} best {noun} {best[1]:.1f}\niteration {best[0]:,}\n{file}"
    # Below the curve, which rises.
    axes.text(
        0.98, 0.04, told.strip(), transform=axes.transAxes, ha="right", fontsize=10, color=INK
    )


def _set_title(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.008, ha="left", fontsize=13, color=INK, parse_math=False)


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
