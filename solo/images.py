"""Image files as arrays of 8 bits, whatever depth the files have."""

from pathlib import Path

import numpy as np
from detectron2.data import detection_utils as utils
from detectron2.utils.file_io import PathManager
from PIL import ExifTags, Image

from solo.errors import UserError

# Where Pillow has no mode for 16 bits, it reads these formats' as 32 bits, from 0 to 65535.
_SIXTEEN_BITS_AT_MOST = ("PNG", "PPM")
# Orientations of EXIF from this on exchange width and height.
_FIRST_EXCHANGED = 5


class PixelDepthError(UserError):
    """An image whose values have no known range, and so no place in 8 bits."""


def read_image(path: str, image_format: str) -> np.ndarray:
    """Read an image as detectron2 does, except that 16 bits become 8, and are not cut off at 255.

    Args:
        path: The file.
        image_format: "RGB" or "BGR", or another that detectron2 knows.

    Returns:
        (H, W, 3) uint8, upright.

    Raises:
        PixelDepthError: If the pixels are floating point, 32-bit or signed numbers.
        OSError: If the file is missing or no image. Pillow has other errors for damaged ones.
    """
    with PathManager.open(path, "rb") as file:
        return utils.convert_PIL_to_numpy(upright(Image.open(file)), image_format)


def read_picture(path: str | Path) -> np.ndarray:
    """Read an image that a user names, as training does.

    Args:
        path: The file.

    Returns:
        (H, W, 3) uint8, BGR, upright.

    Raises:
        UserError: If it cannot be read as an image.
    """
    try:
        return np.ascontiguousarray(read_image(str(path), "BGR"))
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise UserError(f"{path}: cannot be read as an image ({error}).") from error


def image_size(path: str | Path) -> tuple[int, int]:
    """Return the width and height that reading an image gives, from its header alone.

    Raises:
        PixelDepthError: As ``read_image``.
        OSError: If the file is missing or no image. Pillow has other errors for damaged ones.
    """
    with Image.open(path) as image:
        check_depth(image)
        width, height = image.size
        # Pillow would decode the whole of a PNG to look for what may follow the pixels.
        has_exif = image.format != "PNG" or "exif" in image.info
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1) if has_exif else 1
    return (height, width) if orientation >= _FIRST_EXCHANGED else (width, height)


def upright(image: Image.Image) -> Image.Image:
    """Turn an opened file as its EXIF orientation says, and make 16 bits 8.

    Raises:
        PixelDepthError: As ``read_image``.
    """
    check_depth(image)
    image = utils._apply_exif_orientation(image)
    if not image.mode.startswith("I"):
        return image
    # The upper byte: what Pillow takes of 16-bit colours, and OpenCV of all images.
    return Image.fromarray((np.asarray(image) // 256).astype(np.uint8))


def check_depth(image: Image.Image) -> None:
    """Refuse an opened file, by its header alone, whose values cannot be made 8 bits.

    Raises:
        PixelDepthError: As ``read_image``.
    """
    if image.mode == "F":
        raise PixelDepthError("it has floating point values: convert it to 8 bits per channel")
    if image.mode == "I" and image.format not in _SIXTEEN_BITS_AT_MOST:
        raise PixelDepthError("it has 32-bit or signed values: convert it to 8 bits per channel")
