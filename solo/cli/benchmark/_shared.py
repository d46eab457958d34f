"""What the verbs of `solo benchmark`, and the scripts in benchmarks/, share."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from solo.benchmark.sizes import INPUT, ORIGINAL
from solo.cli._parser import add_config, add_device, read_size
from solo.errors import UserError, exit_on

if TYPE_CHECKING:
    from detectron2.config import CfgNode

    from solo.benchmark.tables import Report
    from solo.benchmark.timing import Row

# For the examples of the verbs.
MODEL = "--config coco/solov2_R_50_FPN_1x"


def print_report(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> None:
    """Measure what the arguments ask for, by the parser's `run`; print it, and write --json.

    Args:
        parser: With :func:`add_output`; its `run` turns the arguments into a Report.
        argv: The arguments; None: those of the process.
    """
    args = parser.parse_args(argv)
    with exit_on():
        report_with(args, args.run)


def report_with(
    args: argparse.Namespace, measure: Callable[[argparse.Namespace], "Report"]
) -> None:
    """Measure with the threads that the arguments ask for; print the report, and write --json.

    Raises:
        UserError: An argument is wrong.
        OSError: A file cannot be read or written.
    """
    import torch

    from solo.benchmark.tables import write_json

    threads = torch.get_num_threads()
    try:
        if args.threads is not None and args.threads < 1:
            raise UserError(f"--threads {args.threads}: give 1 or more.")
        torch.set_num_threads(args.threads or threads)
        report = measure(args)
        if args.json:
            write_json(report, args.json)
    finally:
        torch.set_num_threads(threads)
    print(report.table())
    if args.json:
        print(f"written: {args.json}")


def add_verb(
    add: Callable[..., argparse.ArgumentParser], command: str, what: str, example: str
) -> argparse.ArgumentParser:
    """Add a verb.

    Args:
        add: `add_parser` of the verbs of a parser.
        command: The program and, last, the verb.
        what: That is measured.
        example: Arguments.
    """
    return add(
        command.split()[-1],
        help=what,
        description=f"Measure {what}.",
        epilog=f"example: {command} \\\n    {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add --threads and --json."""
    parser.add_argument("--threads", type=int, metavar="N", help="default: as torch has it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a model and its input, and how often it is run."""
    add_output(parser)
    add_config(parser, "what is measured")
    parser.add_argument(
        "--weights", default="", metavar="FILE", help="default: random ones, which find nothing"
    )
    add_device(parser)
    _add_size(parser, "--size", INPUT, "of the input")
    parser.add_argument("--repeats", type=int, default=10, help="default: %(default)s")


def add_original(parser: argparse.ArgumentParser) -> None:
    """Add --original, the size of the image."""
    _add_size(parser, "--original", ORIGINAL, "image")


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add what a batch of training is like."""
    parser.add_argument("--images", type=int, default=1, help="of the batch; default: 1")
    parser.add_argument("--objects", type=int, default=20, help="of each image; default: 20")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add --dataset, whose images are taken instead of noise, and how many of them."""
    parser.add_argument("--dataset", default="", metavar="NAME", help="registered; default: noise")
    parser.add_argument("--num-images", type=int, metavar="N", help="of it, instead of --repeats")


def count_repeats(args: argparse.Namespace) -> int:
    """Return how many runs count; see :func:`add_dataset`."""
    count: int = args.repeats
    return args.num_images or count if args.dataset else count


def read_config(args: argparse.Namespace) -> "CfgNode":
    """Return the config of a file, or of a name in the model zoo; see :func:`add_model`."""
    from solo.config.load import inference_config

    return inference_config(args.config_file, args.weights, args.device, args.opts)


def report_stages(cfg: "CfgNode", rows: Sequence["Row"], timed: str) -> "Report":
    """Return the stages of a model, and what the machine could do at most."""
    import torch

    from solo.benchmark import timing
    from solo.benchmark.limit import describe_limit
    from solo.benchmark.tables import Report

    mixed = cfg.TEST.AMP.ENABLED or cfg.SOLVER.AMP.ENABLED
    limit = describe_limit(torch.device(cfg.MODEL.DEVICE), mixed=mixed)
    return Report(timing.HEADERS, rows, f"{timed}\n{limit}")


def _add_size(
    parser: argparse.ArgumentParser, name: str, default: tuple[int, int], what: str
) -> None:
    text = f"{what}; default: {default[0]}x{default[1]}"
    parser.add_argument(name, type=read_size, default=default, metavar="HxW", help=text)
