"""Print the AP tables of a run and where its pictures are.

python -m solo.tools.show_results output/quickstart
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from solo.visualization.curves import Metrics, read_metrics

_KINDS = ("bbox", "segm")
_SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.show_results",
        description="Print the AP tables of a run and where its pictures are.",
        epilog="example: python -m solo.tools.show_results output/quickstart",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="output folder of a run")
    run = parser.parse_args(argv).run
    try:
        metrics = read_metrics(run / "metrics.json")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(summary_table(metrics))
    print(class_table(metrics))
    for picture in sorted(run.glob("*.png")):
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
