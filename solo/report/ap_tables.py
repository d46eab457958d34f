"""The last AP of a run as tables."""

from tabulate import tabulate

from solo.visualization.curves import Metrics

_KINDS = ("bbox", "segm")
_SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def summary_table(metrics: Metrics) -> str:
    """Return the last AP of boxes and masks, by IoU and by size, as a table."""
    rows = [[kind, *(_last(metrics, f"{kind}/{name}") for name in _SUMMARY)] for kind in _KINDS]
    return tabulate(rows, headers=["", *_SUMMARY], floatfmt=".1f", tablefmt="github")


def class_table(metrics: Metrics) -> str:
    """Return the last AP of boxes and masks of each class as a table."""
    prefix = "segm/AP-"
    classes = [name.removeprefix(prefix) for name in metrics if name.startswith(prefix)]
    rows = [[kind, *(_last(metrics, f"{kind}/AP-{name}") for name in classes)] for kind in _KINDS]
    return tabulate(rows, headers=["AP of", *classes], floatfmt=".1f", tablefmt="github")


def _last(metrics: Metrics, name: str) -> float:
    series = metrics.get(name, [])
    return series[-1][1] if series else float("nan")
