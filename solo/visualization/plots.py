"""What all plots share: colours, empty figures and the style of their axes."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from solo.errors import UserError
from solo.files import written_whole

COLORS = ("#2e86de", "#e4572e", "#27ae60", "#8e44ad", "#f4b400", "#17b2c4", "#e84393", "#7f8c3a")
INK = "#333333"
FAINT = "#8a8a8a"


def cycle_colors(count: int) -> list[str]:
    """Return so many colours; they repeat after the last."""
    return [COLORS[index % len(COLORS)] for index in range(count)]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, without pyplot: no screen or global state is touched."""
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(width, height), dpi=130, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def new_panels(count: int, legend_lines: int = 0) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure and its panels, which share their horizontal axis: up to four side by side, else in threes.

    Args:
        count: Of panels.
        legend_lines: Lines under them that there is to be room for.
    """
    columns = count if count <= 4 else 3
    rows = -(-count // columns)
    figure = new_figure(13 / 3 * columns, 0.3 + 3.6 * rows + 0.25 * legend_lines)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    for axes in grid[:count]:
        axes.tick_params(labelbottom=True)
    return figure, grid[:count].tolist()


def style_axes(axes: Axes, title: str, xlabel: str) -> None:
    """Give axes their title and the looks of all plots."""
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_xlabel(xlabel, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cccccc")
    axes.tick_params(colors=FAINT, labelsize=9)
    axes.grid(color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)


def save_figure(figure: Figure, output_png: Path) -> None:
    """Write a figure, whole or not at all, and make its folder where there is none.

    Raises:
        UserError: If its name is none of a picture.
        OSError: It cannot be written.
    """
    suffix = output_png.suffix.lower()
    if suffix and suffix[1:] not in figure.canvas.get_supported_filetypes():
        raise UserError(f"{output_png}: no plot can be written as {suffix}; end the name in .png.")
    output_png.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(output_png if suffix else output_png.with_suffix(".png")) as partial:
        figure.savefig(partial, facecolor="white")
