"""What show_batches and show_targets share: from the command line to a picture of training images."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from detectron2.config import CfgNode

from solo.errors import exit_on
from solo.survey.seen_images import analysis_config
from solo.tools._command import add_config, build_parser
from solo.visualization.pictures import check_picture_path, write_picture


def sheet_parser(name: str, doc: str, *, num_images: int, output: str) -> argparse.ArgumentParser:
    """Return a parser for a command that draws training images.

    Args:
        name: As of :func:`build_parser`.
        doc: As of :func:`build_parser`.
        num_images: The default of --num-images.
        output: The default of --output.
    """
    parser = build_parser(name, doc)
    add_config(parser, "config of the training run")
    parser.add_argument(
        "--num-images", type=int, default=num_images, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(output),
        metavar="FILE",
        help=".png or .jpg; default: %(default)s",
    )
    return parser


def write_sheet(args: argparse.Namespace, draw: Callable[[CfgNode], np.ndarray]) -> None:
    """Write the picture that the arguments ask for, or stop with a sentence.

    Args:
        args: Of :func:`sheet_parser`.
        draw: Makes an (H, W, 3) uint8 BGR picture with a config.
    """
    with exit_on():
        check_picture_path(args.output)
        write_picture(draw(analysis_config(args.config_file, args.opts)), args.output)
