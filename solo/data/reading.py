"""Image files for training: what may be wrong with them, and reading them no larger than needed."""

import struct

import cv2
import numpy as np
from detectron2.utils.file_io import PathManager
from PIL import ExifTags, Image

from solo.data.augmentation.geometry import fitting_size
from solo.images import PixelDepthError, upright

# What is raised for files that are missing, cut short, no images at all, or of too many bits.
READ_ERRORS = (OSError, SyntaxError, EOFError, struct.error, PixelDepthError)


def read_reduced(
    path: str, image_format: str, fit: tuple[float, float]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Read an image that is going to be made smaller, as detectron2 reads it.

    A JPEG that is needed at half, a quarter or an eighth of its size is decoded at that size.

    Args:
        path: The file.
        image_format: "RGB" or "BGR".
        fit: (H, W) in pixels that the image is to fit into.

    Returns:
        image: (h, w, 3) uint8, upright, at least as large as is needed.
        size: (H, W) of the whole image.
    """
    with PathManager.open(path, "rb") as file:
        image = Image.open(file)
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # by a quarter
        stored = image.size
        size = stored if turned else stored[::-1]
        needed = fitting_size(size, fit)
        image.draft(image.mode, needed if turned else needed[::-1])
        pixels = np.asarray(upright(image).convert("RGB"))
    # Not detectron2's view with turned strides, which all that follows is slower on.
    return (cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if image_format == "BGR" else pixels), size
