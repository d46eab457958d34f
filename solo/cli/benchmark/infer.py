r"""Measure inference stage by stage, from the image to run lengths.

example: solo benchmark infer --config coco/solov2_R_50_FPN_1x --weights model_final.pth \
    --dataset coco_2017_val
"""

import argparse
from typing import TYPE_CHECKING

from solo.cli._parser import Parser
from solo.cli.benchmark._shared import (
    add_dataset,
    add_model,
    add_original,
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
    add_original(parser)
    add_dataset(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    report_with(args, _measure)


def _measure(args: argparse.Namespace) -> "Report":
    from solo.benchmark import infer
    from solo.benchmark.models import load_for_inference, with_rle

    cfg = with_rle(read_config(args))
    rows = infer.benchmark_inference(
        load_for_inference(cfg),
        cfg,
        size=args.size,
        original=args.original,
        repeats=count_repeats(args),
        dataset=args.dataset,
        progress=True,
    )
    return report_stages(cfg, rows, infer.TIMED)
