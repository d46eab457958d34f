"""What a predictor takes as an image: a file, or an array as OpenCV has it."""

import os

import numpy as np

from solo.errors import UserError
from solo.images import read_picture

ImageLike = np.ndarray | str | os.PathLike[str]
"""(H, W, 3) uint8 BGR, or gray, or with alpha; or the name of an image file."""


def as_image(image: ImageLike, max_pixels: int) -> np.ndarray:
    """Return an image as (H, W, 3) uint8, BGR.

    Args:
        image: An array, whose alpha channel is dropped, or a file, which is read upright, as training does.
        max_pixels: Of a file.

    Raises:
        UserError: The array has another shape or type, or the file cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return read_picture(os.path.expanduser(os.fspath(image)), max_pixels)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or not image.size:
        given = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image)
        raise UserError(
            "An image must be the name of a file, or a NumPy array (H, W, 3) uint8 with pixels, "
            f"not {given}."
        )
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise UserError(
            f"An image must be (H, W, 3) in BGR order, gray, or BGR with alpha, not {image.shape}."
        )
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    # As Pillow does where training reads an image with alpha.
    return image[:, :, :3]
