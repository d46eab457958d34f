"""Print the AP tables of a run and where its pictures are.

example: python -m solo.tools.show_results output/quickstart
"""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from solo.checkpoint.run_files import METRICS
from solo.errors import exit_on
from solo.tools._command import build_parser
from solo.visualization.curves import Metrics, read_metrics

_KINDS = ("bbox", "segm")
_SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("show_results", __doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="output folder of a run")
    run = parser.parse_args(argv).run
    with exit_on():
        metrics = read_metrics(run / METRICS)
    print(summary_table(metrics))
    print(class_table(metrics))
    for picture in sorted(run.glob("[!.]*.png")):
        print(f"picture: {picture}")


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


if __name__ == "__main__":
    main()
