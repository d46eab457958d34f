"""Pictures become files here: their names, tried before the work, and their bytes."""

from pathlib import Path

import cv2
import numpy as np

from solo.errors import UserError
from solo.files import check_folder, write_with


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
    """Write a picture, whole or not at all.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        path: The file; its suffix says the format.

    Raises:
        OSError: It cannot be written.
    """
    data = encode_picture(image_bgr, path.suffix)
    write_with(lambda file: file.write(data), path)


def encode_picture(image_bgr: np.ndarray, suffix: str, *options: int) -> bytes:
    """Return the bytes of a picture's file.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        suffix: ".png", ".jpg" or what else OpenCV knows.
        options: Of `cv2.imencode`: names and values in turn.

    Raises:
        OSError: OpenCV cannot write this format here.
    """
    success, data = cv2.imencode(suffix, image_bgr, options)
    if not success:
        raise OSError(f"The picture cannot be encoded as {suffix}: give the name another suffix.")
    return data.tobytes()
