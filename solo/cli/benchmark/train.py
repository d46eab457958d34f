"""Measure a step of training, stage by stage.

example: solo benchmark train --config coco/solov2_R_50_FPN_1x --images 2 --objects 80
"""

import argparse
from typing import TYPE_CHECKING

from solo.cli._parser import Parser
from solo.cli.benchmark._shared import (
    add_batch,
    add_dataset,
    add_model,
    count_repeats,
    read_config,
    report_stages,
    report_with,
)

if TYPE_CHECKING:
    from solo.benchmark.tables import Report


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser)
    add_batch(parser)
    add_dataset(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    report_with(args, _measure)


def _measure(args: argparse.Namespace) -> "Report":
    from solo.benchmark import train

    cfg = read_config(args)
    rows = train.benchmark_training(
        cfg,
        size=args.size,
        images=args.images,
        objects=args.objects,
        repeats=count_repeats(args),
        dataset=args.dataset,
        progress=True,
    )
    return report_stages(cfg, rows, train.TIMED)
