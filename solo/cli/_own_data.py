"""--data: a data set of one's own in whatever format, whose parts are looked for as `solo train --data` does."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from solo.errors import UserError

if TYPE_CHECKING:
    from solo.survey.found_data import FoundData


def add_data(parser: argparse._ActionsContainer, text: str) -> None:
    """Add --data, with what is done to it."""
    parser.add_argument(
        "--data",
        default="",
        metavar="PATH",
        help=f"a data set in whatever format, folder or file: {text}",
    )


def find_parts(args: argparse.Namespace) -> "FoundData":
    """Return what --data names; --images may say where the images are.

    Raises:
        UserError: Another flag names a data set, or it is not clear what is meant.
        OSError: There is no such file or folder.
    """
    from solo.data.formats.yolo_files import parse_path
    from solo.survey.found_data import find_data

    if args.annotations or args.dataset:
        raise UserError(
            "--data, --annotations and --dataset each name a data set: give one of them."
        )
    if args.format != "auto":
        raise UserError("--format is of --annotations: the format of --data is found.")
    images = args.images or ""
    if parse_path(Path(args.data))[1]:  # data.yaml:val is one part of it
        return find_data(annotations=args.data, images=images)
    return find_data(
        args.data, images=images, advice="--annotations A --images D name what is meant"
    )
