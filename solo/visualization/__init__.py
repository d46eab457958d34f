"""Pictures: instances on images and videos, sheets of predictions, training curves."""

from solo.visualization.curves import plot_metrics, plot_runs
from solo.visualization.draw import draw_instances
from solo.visualization.sheet import SheetRow, dataset_rows, prediction_sheet

__all__ = [
    "SheetRow",
    "dataset_rows",
    "draw_instances",
    "plot_metrics",
    "plot_runs",
    "prediction_sheet",
]
