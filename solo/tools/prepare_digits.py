"""Make the embedded data set `digits` ahead of training, which otherwise makes it when it starts.

python -m solo.tools.prepare_digits --output datasets
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from detectron2.utils.logger import setup_logger

from solo.data.datasets.digits import build_digits, default_root

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the tool."""
    args = _parser().parse_args(arguments)
    setup_logger(name="solo")
    folder = build_digits(args.output)
    logger.info("digits_train and digits_val are in %s", folder)
    if args.output.resolve() != default_root().resolve():
        logger.info("to train on them there, set SOLO_DATASETS=%s", args.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.prepare_digits",
        description="Write the data set digits, about 4,200 images, once; nothing is downloaded.",
        epilog="example:\n  python -m solo.tools.prepare_digits --output datasets",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=default_root(),
        metavar="DIR",
        help="folder for the data set's folder (default: $SOLO_DATASETS, $DETECTRON2_DATASETS "
        "or ./datasets, where training looks)",
    )
    return parser


if __name__ == "__main__":
    main()
