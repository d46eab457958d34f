"""Plot the losses, the learning rate and the AP of training runs.

example: python -m solo.tools.plot_metrics output/run_a output/run_b --output compared.png
"""

from collections.abc import Sequence
from pathlib import Path

from solo.checkpoint.run_files import METRICS
from solo.errors import exit_on
from solo.tools._command import build_parser
from solo.visualization.curves import plot_metrics, plot_runs


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("plot_metrics", __doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="output folder of a run")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="picture to write; several runs are compared in it. Default: metrics.png in each RUN",
    )
    args = parser.parse_args(argv)
    with exit_on():
        _plot(args.runs, args.output)


def _plot(runs: Sequence[Path], output: Path | None) -> None:
    if output and len(runs) > 1:
        # Their full paths where folders of different runs have the same name.
        short = {run.resolve().name: run / METRICS for run in runs}
        named = {str(run): run / METRICS for run in runs}
        plot_runs(short if len(short) == len(named) else named, output)
        return
    for run in runs:
        plot_metrics(run / METRICS, output or run / "metrics.png")


if __name__ == "__main__":
    main()
