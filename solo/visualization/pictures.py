"""Where pictures go: names that are wrong are told before the work, not after it."""

from pathlib import Path

import cv2
import numpy as np

from solo.errors import UserError
from solo.files import check_folder, write_bytes


def check_picture_path(path: Path) -> None:
    """Make sure that a picture can be written.

    Raises:
        UserError: Its name is none of a picture, or that of a folder.
        OSError: Its folder cannot be written to.
    """
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"--output {path}: give a name that ends in .png or .jpg.")
    if path.is_dir():
        raise UserError(f"--output {path} is a folder: name a file.")
    check_folder(path.parent)


def write_picture(image_bgr: np.ndarray, path: Path) -> None:
    """Write an (H, W, 3) uint8 BGR picture; the format is that of the name."""
    write_bytes(cv2.imencode(path.suffix, image_bgr)[1].tobytes(), path)
