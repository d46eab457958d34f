"""Plot the losses, the learning rate and the AP of training runs.

python -m solo.tools.plot_metrics output/my_run
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from solo.visualization.curves import plot_metrics, plot_runs

EXAMPLE = """example:
  python -m solo.tools.plot_metrics output/run_a output/run_b --output compared.png
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.plot_metrics",
        description="Plot the losses, the learning rate and the AP of training runs.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="output folder of a run")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="picture to write; several runs are compared in it. Default: metrics.png in each RUN",
    )
    args = parser.parse_args(argv)
    try:
        _plot(args.runs, args.output)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def _plot(runs: Sequence[Path], output: Path | None) -> None:
    if output and len(runs) > 1:
        # Their full paths where folders of different runs have the same name.
        short = {run.resolve().name: run / "metrics.json" for run in runs}
        named = {str(run): run / "metrics.json" for run in runs}
        plot_runs(short if len(short) == len(named) else named, output)
        return
    for run in runs:
        plot_metrics(run / "metrics.json", output or run / "metrics.png")


if __name__ == "__main__":
    main()
