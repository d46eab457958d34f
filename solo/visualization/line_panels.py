"""One panel of curves: a quantity over the iterations, each line with its name and last value at its end."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from solo.visualization.plots import FAINT, INK, style_axes

Points = Sequence[tuple[int, float]]

# Share of a panel's height that two labels at the right end keep from each other.
_LABEL_STEP = 0.065
# Of points: so many are marked one by one, as of AP; hundreds would hide the line.
_FEW = 20


def draw_panel(
    axes: Axes,
    title: str,
    series: Mapping[str, Points],
    colors: Sequence[str],
    *,
    unit: str = "",
    epoch: float = 0.0,
) -> None:
    """Draw curves, or say that there are none yet.

    Args:
        axes: Where.
        title: The quantity.
        series: (iteration, value) by the name of a line; what is not finite is left out.
        colors: One per line.
        unit: Of the values.
        epoch: Iterations of one, to write epochs under the iterations. 0: it is not known.
    """
    style_axes(axes, f"{title}, {unit}" if unit else title, _iterations(axes, epoch))
    drawn = []
    for (label, points), color in zip(series.items(), colors, strict=True):
        values = finite(points)
        if len(values):
            marker = "o" if len(values) <= _FEW else None
            axes.plot(*values.T, color=color, linewidth=1.8, marker=marker, markersize=4)
            drawn.append((label, color, values[-1]))
    if not drawn:
        axes.text(0.5, 0.5, f"no {title} yet", transform=axes.transAxes, ha="center", color=FAINT)
        axes.set_yticks([])
        return
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    _label_ends(axes, drawn)


def finite(points: Points) -> np.ndarray:
    """Return the (iteration, value) whose value is finite, (n, 2)."""
    return np.asarray([p for p in points if np.isfinite(p[1])], dtype=float).reshape(-1, 2)


def mark_best(axes: Axes, points: Points, color: str = INK) -> tuple[int, float] | None:
    """Draw a star at the first of the highest points, and return it; None where there is none."""
    values = finite(points)
    if not len(values):
        return None
    iteration, value = values[values[:, 1].argmax()].tolist()
    axes.plot(
        iteration, value, "*", color=color, markersize=14, markeredgecolor="white", clip_on=False
    )
    return int(iteration), value


def spread_apart(heights: np.ndarray) -> np.ndarray:
    """Move sorted heights, in shares of a panel, so far apart that labels there do not touch."""
    placed = np.clip(heights, 0.02, 0.98)
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + _LABEL_STEP)
    # Those pushed over the upper edge push back down.
    return np.minimum(placed, 0.98 - _LABEL_STEP * np.arange(len(placed))[::-1])


def _iterations(axes: Axes, epoch: float) -> str:
    """Number the iterations, and the epochs under them; return what the axis is called."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if not epoch:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        return "iteration"
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}\n{x / epoch:.3g}"))
    return "iteration, and epoch below"


def _label_ends(axes: Axes, drawn: Sequence[tuple[str, str, np.ndarray]]) -> None:
    """Write each line's name and last value at its right end, apart from one another."""
    top = axes.get_ylim()[1]
    heights = np.asarray([end[1] / top for _, _, end in drawn])
    order = np.argsort(heights)
    for index, height in zip(order, spread_apart(heights[order]), strict=True):
        label, color, end = drawn[index]
        text = f"{label} {end[1]:.3g}".strip()
        axes.text(
            1.015, height, text, transform=axes.transAxes, va="center", fontsize=10, color=color
        )
