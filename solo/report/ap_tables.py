"""AP of boxes and masks, by IoU, by size and by class, as one table."""

from collections.abc import Mapping

from tabulate import tabulate

from solo.visualization.curves import Metrics

_KINDS = {"mask AP": "segm", "box AP": "bbox"}
_ROWS = {
    "all": "AP",
    "IoU 0.5": "AP50",
    "IoU 0.75": "AP75",
    "small": "APs",
    "medium": "APm",
    "large": "APl",
}
_OF_CLASS = "AP-"


def ap_table(tables: Mapping[str, Mapping[str, float]]) -> str:
    """Return AP in percent as a table.

    Args:
        tables: As of an evaluation, ``{"bbox": {"AP": ..., "AP-cat": ...}, "segm": ...}``.
    """
    names = [name for name in tables.get("segm", {}) if name.startswith(_OF_CLASS)]
    rows = {**_ROWS, **{name.removeprefix(_OF_CLASS): name for name in names}}
    body = [
        [title, *(tables.get(kind, {}).get(name, float("nan")) for kind in _KINDS.values())]
        for title, name in rows.items()
    ]
    return tabulate(body, headers=["", *_KINDS], floatfmt=".1f", tablefmt="github")


def last_tables(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Return the last AP that a run logged, as the tables of an evaluation."""
    tables: dict[str, dict[str, float]] = {kind: {} for kind in _KINDS.values()}
    for name, series in metrics.items():
        kind, _, rest = name.partition("/")
        if kind in tables and rest.startswith("AP"):
            tables[kind][rest] = series[-1][1]
    return tables
