"""Make the embedded data set `digits` ahead of training, which otherwise makes it when it starts.

It has about 4,200 images and is written once; nothing is downloaded.

example: solo data digits --output datasets
"""

import argparse
from pathlib import Path

from solo.cli._parser import Parser


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the data set's folder (default: $SOLO_DATASETS, $DETECTRON2_DATASETS "
        "or ./datasets, where training looks)",
    )


def run(args: argparse.Namespace) -> None:
    """Make the data set, unless it is there."""
    from detectron2.utils.logger import setup_logger

    from solo.data.catalog import default_root
    from solo.data.formats.digits import build_digits

    setup_logger(name="solo")
    output = args.output or default_root()
    print(f"digits_train and digits_val are in {build_digits(output)}")
    if output.resolve() != default_root().resolve():
        print(f"to train on them there, set SOLO_DATASETS={output}")
