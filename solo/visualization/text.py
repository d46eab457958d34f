"""Text on BGR pictures, in the font of matplotlib: pictures and plots look alike."""

from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont


@lru_cache(maxsize=32)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


# A picture repeats few labels and a video repeats nearly all of them; rendering is the slow part.
@lru_cache(maxsize=1024)
def text_coverage(text: str, size: int, bold: bool = False) -> np.ndarray:
    """Render one line of text.

    Args:
        text: The line.
        size: Font size in pixels.
        bold: Whether to use the bold face.

    Returns:
        (h, w) float32, read-only: the share of each pixel that the ink covers. The height depends
        on the font only, so that labels side by side are level.
    """
    font = _font(size, bold)
    ascent, descent = font.getmetrics()
    width = max(1, round(font.getlength(text)))
    canvas = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(canvas).text((0, 0), text, fill=255, font=font)
    coverage = np.asarray(canvas, dtype=np.float32) / 255
    coverage.flags.writeable = False
    return coverage


def put_text(
    image: np.ndarray,
    text: str,
    left: int,
    top: int,
    *,
    size: int,
    color: tuple[int, int, int] = (0, 0, 0),
    bold: bool = False,
) -> None:
    """Write one line of text on a picture, in place; what lies outside the picture is cut off.

    Args:
        image: (H, W, 3) uint8, BGR.
        text: The line.
        left: Pixel column of the text's left edge.
        top: Pixel row of the text's upper edge.
        size: Font size in pixels.
        color: BGR.
        bold: Whether to use the bold face.
    """
    coverage = text_coverage(text, size, bold)
    coverage = coverage[max(0, -top) :, max(0, -left) :]
    left, top = max(0, left), max(0, top)
    patch = image[top : top + coverage.shape[0], left : left + coverage.shape[1]]
    ink = coverage[: patch.shape[0], : patch.shape[1], None]
    patch[:] = np.rint(patch * (1 - ink) + np.asarray(color, dtype=np.float32) * ink)
