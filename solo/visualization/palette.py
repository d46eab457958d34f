"""The colours of instances: told from one another, with ink that is readable on each."""

from collections.abc import Mapping, Sequence
from functools import cache

import cv2
import numpy as np

from solo.structures.cutouts import Cutout

Color = tuple[int, int, int]  # BGR

# Neighbours in the list differ in hue and in lightness: the first few instances never look alike.
# fmt: off
_PALETTE_RGB = (
    0xF0562B, 0x2F7DE1, 0x1E9E5A, 0xF5B400, 0x9148D9, 0x0E9AAA, 0xE0388A, 0x86B82A, 0xA4502A,
    0x7CC4FF, 0xC8E67A, 0xBE2540, 0x2B4490, 0x00C9A7, 0xFFB08F, 0x8A6D3B, 0xFFE066, 0xC9A7FF,
    0x5E7018, 0xFF8FB8,
)
# fmt: on
PALETTE: tuple[Color, ...] = tuple((c & 255, c >> 8 & 255, c >> 16) for c in _PALETTE_RGB)
_WHITE, _BLACK = (255, 255, 255), (24, 24, 24)
# Of black letters on white, 21 are possible; large letters need 3.
_LEAST_CONTRAST = 3.2
# Of neighbours, in CIE L*a*b*: no two of the first eight are nearer to one another.
_APART = 38.0
# Objects that are apart by less than this share of the picture's side are neighbours, too.
_NEAR = 0.02


def ink_on(color: Color) -> Color:
    """Return white, or black where white could not be read on a colour."""
    return _WHITE if contrast(_WHITE, color) >= _LEAST_CONTRAST else _BLACK


def contrast(first: Color, second: Color) -> float:
    """Return the contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@cache
def _luminance(color: Color) -> float:
    share = np.array(color) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.0722, 0.7152, 0.2126))


def spread_colors(
    cutouts: Sequence[Cutout], shape: Sequence[int], taken: Mapping[int, int] | None = None
) -> dict[int, int]:
    """Give instances numbers of colours, so that neighbours in the picture do not look alike.

    The first instance gets the first colour, the second the second, and so on, unless one of its
    neighbours has one like it; then the next one that none has, and that was used the least.

    Args:
        cutouts: The instances of a picture.
        shape: Its height and width.
        taken: The number that some rows have already; other keys may stand for what is elsewhere.

    Returns:
        Row to number in the palette; what was taken, too.
    """
    given = dict(taken or {})
    if not cutouts:
        return given
    boxes, near = np.array([cutout.box for cutout in cutouts]), _NEAR * max(shape[:2])
    order = np.arange(len(PALETTE))
    used = np.bincount(np.array([*given.values()], int) % len(PALETTE), minlength=len(PALETTE))
    for cutout, (left, top, right, bottom) in zip(cutouts, boxes, strict=True):
        if cutout.row not in given:
            meets = (boxes[:, 0] < right + near) & (boxes[:, 2] > left - near)
            meets &= (boxes[:, 1] < bottom + near) & (boxes[:, 3] > top - near)
            rows = [cutouts[index].row for index in np.flatnonzero(meets)]
            others = [given[row] % len(PALETTE) for row in rows if row in given]
            apart = _distances()[:, others].min(axis=1, initial=_APART)
            # The most different one; of those that differ enough, the least used and the next in turn.
            turn = (order - cutout.row) % len(PALETTE)
            given[cutout.row] = chosen = int(np.lexsort((turn, used, -apart))[0])
            used[chosen] += 1
    return given


@cache
def _distances() -> np.ndarray:
    """Return how far apart any two colours of the palette look."""
    lab = cv2.cvtColor(np.float32([PALETTE]) / 255, cv2.COLOR_BGR2LAB)[0]
    return np.asarray(np.linalg.norm(lab[:, None] - lab[None], axis=-1))
