"""Image files as arrays of 8 bits, whatever depth the files have; each that cannot be read is named."""

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from detectron2.data import detection_utils as utils
from detectron2.utils.file_io import PathManager
from PIL import ExifTags, Image

from solo.errors import UserError, shortened

# Beyond them a file is taken for a bomb, which is small and decodes to all memory; Pillow's own limit.
MAX_PIXELS = 178_956_970
# For what was read before, and for headers alone.
ANY_NUMBER = 2**62
# Where Pillow has no mode for 16 bits, it reads these formats' as 32 bits, from 0 to 65535.
_SIXTEEN_BITS_AT_MOST = ("PNG", "PPM")
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# The EXIF orientations that exchange width and height.
_QUARTER_TURNS = (5, 6, 7, 8)
# Pillow's limit of pixels is one for all threads.
_PILLOWS_LIMIT = threading.Lock()


class UnreadableImageError(UserError):
    """An image file that is missing, damaged, of an unknown format, or of too many pixels or bits."""


class WrongSizeError(UserError):
    """An image of another size than its annotations say: what they mark cannot be found in it."""


@contextmanager
def opened(path: str | Path, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image file, whose pixels are decoded in the block, when they are asked for.

    Raises:
        UnreadableImageError: If anything goes wrong here or in the block.
    """
    try:
        with PathManager.open(str(path), "rb") as file:
            image = _open_limited(file, max_pixels)
            _check_depth(image)
            yield image
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        is_told = isinstance(error, OSError | ValueError) and str(error)
        reason = str(error) if is_told else f"{type(error).__name__} {error}".strip()
        reason = reason.partition(" <_io.")[0]  # what Pillow calls an open file
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror  # without the name, which is told already
        raise UnreadableImageError(
            f"{shortened(str(path))}: cannot be read as an image ({reason})."
        ) from error


def read_image(path: str | Path, image_format: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image as detectron2 does, except that 16 bits become 8, and are not cut off at 255.

    Args:
        path: The file.
        image_format: "RGB" or "BGR", or another that detectron2 knows.
        max_pixels: A header that tells of more is not followed.

    Returns:
        (H, W, 3) uint8, upright. Of several frames the first.

    Raises:
        UnreadableImageError: If the file is missing, damaged, no image or too large, or the pixels
            are floating point, 32-bit or signed numbers.
    """
    with opened(path, max_pixels) as image:
        return _to_array(upright(image), image_format)


def read_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image that a user names, as training does.

    Args:
        path: The file.
        max_pixels: See `read_image`.

    Returns:
        (H, W, 3) uint8, BGR, upright.

    Raises:
        UnreadableImageError: See `read_image`.
    """
    return np.ascontiguousarray(read_image(path, "BGR", max_pixels))


def image_size(path: str | Path, max_pixels: int = ANY_NUMBER) -> tuple[int, int]:
    """Return the (H, W) that an image is read with, from the header of its file alone.

    Raises:
        UnreadableImageError: See `read_image`, as far as a header tells.
    """
    with opened(path, max_pixels) as image:
        width, height = image.size
        # Pillow would decode the whole of a PNG to look for what may follow the pixels.
        may_turn = image.format != "PNG" or _png_has_exif(path)
        return (width, height) if may_turn and is_turned(image) else (height, width)


def _png_has_exif(path: str | Path) -> bool:
    """Tell, by the heads of its chunks, whether a PNG has one of those in which Pillow looks for EXIF."""
    with PathManager.open(str(path), "rb") as file:
        file.seek(8)  # its signature
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            start = file.read(min(length, 21)) if kind in _PNG_TEXTS else b""
            if kind == b"eXIf" or start.startswith(
                (b"Raw profile type exif", b"XML:com.adobe.xmp")
            ):
                return True
            file.seek(length + 4 - len(start), os.SEEK_CUR)
    return False


def check_size(record: dict[str, Any], size: tuple[int, int]) -> None:
    """Compare the (H, W) that an image was read with, with its record; a record without one gets it.

    Raises:
        WrongSizeError: If they differ.
    """
    said = record.setdefault("height", size[0]), record.setdefault("width", size[1])
    if said == tuple(size):
        return
    path = record["file_name"]
    advice = "write the size of the file, or restore the original if it was resized since"
    if ignores_exif(path, said):
        advice = (
            "its EXIF orientation turns it, which they ignore: take the orientation out of the file"
        )
    raise WrongSizeError(
        f"{path} has {size[1]}x{size[0]} pixels, its annotations say {said[1]}x{said[0]}: {advice}."
    )


def ignores_exif(path: str | Path, size: tuple[int, int]) -> bool:
    """Tell whether (H, W) is the size that a file stores, which its EXIF orientation turns."""
    with opened(path, ANY_NUMBER) as image:
        return is_turned(image) and image.size == (size[1], size[0])


def is_turned(image: Image.Image) -> bool:
    """Tell whether an opened file's EXIF orientation exchanges width and height."""
    return image.getexif().get(ExifTags.Base.Orientation) in _QUARTER_TURNS


def upright(image: Image.Image) -> Image.Image:
    """Turn an opened file as its EXIF orientation says, and make 16 bits 8."""
    # Before anybody asks for the EXIF, which of a PNG lies behind the pixels: detectron2 swallows what is
    # wrong with these then, and a second try would give black rows.
    image.load()
    image = utils._apply_exif_orientation(image)
    if not image.mode.startswith("I"):
        return image
    # The upper byte: what Pillow takes of 16-bit colours, and OpenCV of all images.
    return Image.fromarray((np.asarray(image) // 256).astype(np.uint8))


def _to_array(image: Image.Image, image_format: str) -> np.ndarray:
    """Do what detectron2's conversion does, without its copy of what is RGB already."""
    if image.mode != "RGB" or image_format not in ("RGB", "BGR"):
        return utils.convert_PIL_to_numpy(image, image_format)
    pixels = np.asarray(image)
    return pixels if image_format == "RGB" else pixels[:, :, ::-1]


def _open_limited(file: IO[bytes], max_pixels: int) -> Image.Image:
    """Open an image of so many pixels at most."""
    problem = (
        f"it has more pixels than INPUT.MAX_PIXELS, {max_pixels}: reduce it, or raise the limit"
    )
    with _PILLOWS_LIMIT:
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None:  # Pillow warns of more than its own number, and refuses twice as many
            Image.MAX_IMAGE_PIXELS = max(limit, max_pixels)
        try:
            image = Image.open(file)
        except Image.DecompressionBombError as error:
            raise ValueError(problem) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > max_pixels:
        raise ValueError(problem)
    return image


def _check_depth(image: Image.Image) -> None:
    """Refuse an opened file, by its header alone, whose values cannot be made 8 bits."""
    if image.mode == "F":
        raise ValueError("it has floating point values: convert it to 8 bits per channel")
    if image.mode == "I" and image.format not in _SIXTEEN_BITS_AT_MOST:
        raise ValueError("it has 32-bit or signed values: convert it to 8 bits per channel")
