"""Tell what a training run learned: how good it is in a sentence and a table, and a page or pictures.

Without --sheet or --curves it makes the page, readable without a network: what kinds of errors there are, AP,
which classes are confused, the best and worst held-out images, speed, curves. Several runs are compared by --curves.

example: solo report output/quickstart
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solo.cli._parser import Parser, add_config_name, add_device, add_words, split_words
from solo.errors import UserError

if TYPE_CHECKING:
    from detectron2.config import CfgNode

    from solo.report.run_folder import Run


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_words(parser, "RUN", "output folder of a run; several for --curves")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the page; default: RUN/report.html"
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE",
        help="only a picture of held-out images beside their truth and what the model finds",
    )
    parser.add_argument(
        "--curves",
        type=Path,
        metavar="FILE",
        help="only a picture of losses, rate and AP; several runs are compared in it",
    )
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
        "--num-images",
        type=int,
        metavar="N",
        help="look at N held-out images, spread evenly; default: all, and 12 for --sheet",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="of --sheet: score below which instances are left out; default: the model's own, or 0.3",
    )
    add_config_name(parser, "of --sheet in place of RUN, with --weights")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Print the tables, and make what is asked for."""
    names, opts = split_words(args.words)
    runs = [Path(name) for name in names]
    if args.config_file:
        _draw_sheet(args, runs, opts)
        return
    if not runs:
        raise UserError("Name the output folder of a run, as in `solo report output/quickstart`.")
    if len(runs) > 1 and (args.output or args.sheet or not args.curves):
        raise UserError(f"{len(runs)} runs are compared by their curves: give --curves FILE alone.")
    _report(args, runs, opts)


def _report(args: argparse.Namespace, runs: list[Path], opts: list[str]) -> None:
    from solo.report.pages import write_curves, write_sheet
    from solo.report.run_folder import open_run

    if args.curves:
        write_curves(runs, args.curves)
        print(f"written: {args.curves}")
    if args.curves and not (args.output or args.sheet):
        return
    run = open_run(runs[0], args.weights)
    if args.sheet:
        cfg = _config(args, str(run.config_file), str(run.weights), opts)
        write_sheet(cfg, args.sheet, **_of_sheet(args))
        print(f"written: {args.sheet}")
    if args.output or not args.sheet:
        _write_page(args, run, opts)


def _write_page(args: argparse.Namespace, run: "Run", opts: list[str]) -> None:
    from solo.evaluation.result_tables import result_tables
    from solo.report.headline import headline
    from solo.report.pages import write_page

    page = args.output or run.folder / "report.html"
    held_out = write_page(
        run,
        page,
        dataset=args.dataset,
        num_images=args.num_images,
        opts=opts,
        device=args.device,
    )
    words = headline(run, held_out)
    tables = result_tables(held_out.tables, elsewhere="on the page")
    print(f"{words.how_good}\n{words.most_wrong}\n\n{tables}\n")
    print(f"written: {page}\nnext: {words.next_command}")


def _draw_sheet(args: argparse.Namespace, runs: list[Path], opts: list[str]) -> None:
    from solo.report.pages import write_sheet

    if runs or args.output or args.curves or not args.sheet:
        raise UserError("--config draws a --sheet FILE of a model; a page is made of a RUN.")
    cfg = _config(args, args.config_file, str(args.weights or ""), opts)
    write_sheet(cfg, args.sheet, **_of_sheet(args))
    print(f"written: {args.sheet}")


def _config(args: argparse.Namespace, config_file: str, weights: str, opts: list[str]) -> "CfgNode":
    from solo.config.load import inference_config

    return inference_config(config_file, weights, args.device, opts)


def _of_sheet(args: argparse.Namespace) -> dict[str, Any]:
    count = 12 if args.num_images is None else args.num_images
    return {"dataset": args.dataset, "num_images": count, "threshold": args.threshold}
