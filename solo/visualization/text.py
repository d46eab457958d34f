"""Text on BGR pictures, in the font of matplotlib, or in one that has the characters."""

import logging
from functools import cache, lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

_FOLDER = Path(matplotlib.get_data_path(), "fonts", "ttf")
# By whether it is bold. Pictures and plots look alike.
_FONTS = (str(_FOLDER / "DejaVuSans.ttf"), str(_FOLDER / "DejaVuSans-Bold.ttf"))
# Fonts that have an empty box, or nothing, for each character.
_PLACEHOLDERS = ("lastresort", "adobeblank")
_MAX_LENGTH = 200
_NO_FONT = (
    "No font on this machine has all characters of a text to be drawn: install one that has, such as "
    "Noto Sans CJK. Until then classes are drawn by their numbers."
)

logger = logging.getLogger(__name__)


def has_font(text: str) -> bool:
    """Return whether some font on this machine has all characters of a text; warn once if not."""
    found = _find_font(_one_line(text), bold=False) is not None
    if not found:
        _warn_once(_NO_FONT)
    return found


# A picture repeats few labels and a video repeats nearly all of them; rendering is the slow part.
@lru_cache(maxsize=1024)
def text_coverage(text: str, size: int, bold: bool = False) -> np.ndarray:
    """Render one line of text.

    Args:
        text: The line; what is beyond 200 characters is cut off.
        size: Font size in pixels.
        bold: Whether to use the bold face.

    Returns:
        (h, w) float32, read-only: the share of each pixel that the ink covers. The height depends
        on the font only, so that labels side by side are level.
    """
    text = _one_line(text)
    font = _load_font(_find_font(text, bold) or _FONTS[bold], size)
    ascent, descent = font.getmetrics()
    width = max(1, round(font.getlength(text)))
    canvas = Image.new("L", (width, ascent + descent))
    ImageDraw.Draw(canvas).text((0, 0), text, fill=255, font=font)
    coverage = np.asarray(canvas, dtype=np.float32) / 255
    coverage.flags.writeable = False
    return coverage


def _one_line(text: str) -> str:
    """Return a text without line ends and other characters that no font has."""
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_LENGTH])


@lru_cache(maxsize=1024)
def _find_font(text: str, bold: bool) -> str | None:
    """Return the file of the first font with all characters of a text, the usual one before others."""
    needed = set(map(ord, text))
    if needed <= _characters(_FONTS[bold]):
        return _FONTS[bold]
    from matplotlib import font_manager  # looks through the machine's fonts, once

    fonts = font_manager.fontManager.ttflist
    # Upright and plain ones first: they look most like the usual one.
    for font in sorted(fonts, key=lambda font: (font.style != "normal", "Sans" not in font.name)):
        if needed <= _characters(font.fname):
            return str(font.fname)
    return None


@lru_cache(maxsize=256)
def _characters(path: str) -> frozenset[int]:
    """Return the characters that a font can draw at any size."""
    if Path(path).stem.lower().startswith(_PLACEHOLDERS):
        return frozenset()
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # it is gone, or of a kind that FreeType does not know
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()


@lru_cache(maxsize=32)
def _load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


@cache
def _warn_once(sentence: str) -> None:
    logger.warning(sentence)


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
