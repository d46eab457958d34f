"""Make one HTML page about a training run, readable without a network.

It has curves, AP, precision over recall, the best and worst held-out images, and what kinds of
errors there are.

example: python -m solo.tools.report output/quickstart
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from solo.errors import UserError, exit_on
from solo.files import check_folder, write_text
from solo.inference import Predictor
from solo.report.held_out import examine
from solo.report.page import render_report
from solo.report.run_folder import open_run
from solo.tools._command import build_parser
from solo.user_modules import add_import

# Masks of a whole data set do not fit into memory, their run lengths do.
_OPTIONS = ("MODEL.SOLO.TEST.MASK_FORMAT", "rle")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("report", __doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="output folder of a run")
    parser.add_argument(
        "--dataset", default="", metavar="NAME", help="registered; default: DATASETS.TEST[0]"
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="checkpoint; default: the last one of the run, model_final.pth at its end",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="page to write; default: RUN/report.html"
    )
    parser.add_argument(
        "--num-images",
        type=int,
        metavar="N",
        help="look at N held-out images, spread evenly; default: at all",
    )
    add_import(parser)
    args = parser.parse_args(argv)
    output = args.output or args.run / "report.html"
    with exit_on():
        _write_report(args, output)
    print(f"written: {output}")


def _write_report(args: argparse.Namespace, output: Path) -> None:
    run = open_run(args.run, args.weights)
    _check_output(output)
    dataset = args.dataset or next(iter(run.cfg.DATASETS.TEST), "")
    if not dataset:
        raise UserError(f"{run.config_file} has no DATASETS.TEST: name a data set with --dataset.")
    predictor = Predictor.from_config(run.config_file, str(run.weights), opts=_OPTIONS)
    held_out = examine(predictor, dataset, args.num_images)
    write_text(render_report(run, held_out), output)


def _check_output(output: Path) -> None:
    if output.suffix.lower() not in (".html", ".htm") or output.is_dir():
        raise UserError(f"--output {output}: give the name of a file that ends in .html.")
    check_folder(output.parent)


if __name__ == "__main__":
    main()
