"""Measure what this CPU has, what was chosen for it, and what that gains.

example: solo benchmark cpu MODEL.CPU.INTERSECTIONS bits
"""

import argparse
from typing import TYPE_CHECKING

from solo.cli._parser import Parser, add_options
from solo.cli.benchmark._shared import add_output, report_with

if TYPE_CHECKING:
    from solo.benchmark.tables import Report


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_output(parser)
    parser.add_argument("--repeats", type=int, default=7, help="default: %(default)s")
    add_options(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    report_with(args, _measure)


def _measure(args: argparse.Namespace) -> "Report":
    from solo.benchmark import cpu_choices
    from solo.benchmark.tables import Report
    from solo.config.load import load_config

    cfg = load_config("", args.opts, device="cpu", needs_classes=False)
    rows = cpu_choices.benchmark_cpu(cfg, repeats=args.repeats, progress=True)
    return Report(cpu_choices.HEADERS, rows, cpu_choices.describe_cpu())
