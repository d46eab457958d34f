"""Make the embedded data set `digits` ahead of training, which otherwise makes it when it starts.

It has about 4,200 images and is written once; nothing is downloaded.

example: python -m solo.tools.prepare_digits --output datasets
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from detectron2.utils.logger import setup_logger

from solo.data.catalog import default_root
from solo.data.formats.digits import build_digits
from solo.errors import exit_on
from solo.tools._command import build_parser

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("prepare_digits", __doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=default_root(),
        metavar="DIR",
        help="folder for the data set's folder (default: $SOLO_DATASETS, $DETECTRON2_DATASETS "
        "or ./datasets, where training looks)",
    )
    args = parser.parse_args(argv)
    setup_logger(name="solo")
    with exit_on():
        folder = build_digits(args.output)
    logger.info("digits_train and digits_val are in %s", folder)
    if args.output.resolve() != default_root().resolve():
        logger.info("to train on them there, set SOLO_DATASETS=%s", args.output)


if __name__ == "__main__":
    main()
