"""Instances drawn on a picture: mask, contour and label, without a screen.

H, W: the picture's size in pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from detectron2.structures import Instances

from solo.structures.box import Box
from solo.structures.cutouts import Cutout, get_cutouts
from solo.structures.instances import class_name
from solo.visualization.text import has_font, put_text, text_coverage

# Neighbours in the list differ in hue and in lightness: the first few instances never look alike.
# fmt: off
_PALETTE_RGB = (
    0xE4572E, 0x2E86DE, 0x27AE60, 0xF4B400, 0x8E44AD, 0x17B2C4, 0xE84393, 0x7F8C3A, 0xD35400,
    0x5AB4FF, 0xB2D732, 0xB83227, 0x5D5FEF, 0x00C896, 0xFFA58C, 0xA0622D, 0xF6E05E, 0xB388EB,
    0x2C7A7B, 0xFF6F91,
)
# fmt: on
PALETTE = tuple((c & 255, c >> 8 & 255, c >> 16) for c in _PALETTE_RGB)  # BGR

# Every value that a channel can have, as a picture.
_RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
# "instance", "class", or a number per row of the instances.
ColorBy = str | Sequence[int] | np.ndarray
_MIN_FONT_SIZE = 8
_LABEL_MARGIN = 3


class _Label(NamedTuple):
    text: str
    box: Box
    font_size: int
    color: tuple[int, int, int]


def draw_instances(
    image_bgr: np.ndarray,
    instances: Instances,
    class_names: Sequence[str] | None = None,
    *,
    threshold: float = 0,
    alpha: float = 0.5,
    color_by: ColorBy = "instance",
) -> np.ndarray:
    """Draw the instances of one picture on a copy of it.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        instances: Predictions (`pred_masks` or `pred_rles`, `pred_classes`, `scores`) or
            annotations (`gt_masks`, `gt_classes`) of this picture, at its size.
        class_names: Name per class. A class without one is called by its number.
        threshold: Probability below which a prediction is left out.
        alpha: Opacity of the masks' filling, 0 to 1.
        color_by: "instance", a colour per row of the instances; "class", a colour per class; or a
            number per row, such as those of a `MaskIoUTracker`: equal numbers, equal colours.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        ValueError: The picture is not (H, W, 3) uint8, or the instances are of another size.
    """
    check_picture(image_bgr)
    if tuple(instances.image_size) != image_bgr.shape[:2]:
        raise ValueError(
            f"The instances are of a picture of (height, width) {tuple(instances.image_size)}, "
            f"and this one is {image_bgr.shape[:2]}: give the picture they were predicted on."
        )
    cutouts = get_cutouts(instances, threshold=threshold)
    return draw_cutouts(image_bgr, cutouts, class_names, alpha=alpha, color_by=color_by)


def check_picture(image_bgr: np.ndarray) -> None:
    """Raise ValueError unless this is an (H, W, 3) uint8 picture with any pixels."""
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(
            f"A picture must be (H, W, 3) uint8 in BGR order, not {image_bgr.shape} "
            f"{image_bgr.dtype}."
        )
    if not image_bgr.size:
        raise ValueError(f"A picture must have pixels; this one has the shape {image_bgr.shape}.")


def draw_cutouts(
    image_bgr: np.ndarray,
    cutouts: Sequence[Cutout],
    class_names: Sequence[str] | None = None,
    *,
    alpha: float = 0.5,
    color_by: ColorBy = "instance",
    font_size: int | None = None,
) -> np.ndarray:
    """Draw instances that are cut out already, at the size of the picture; see `draw_instances`.

    `font_size` is that of the labels, in pixels; None: by the size of the picture.

    Raises:
        ValueError: `color_by` is another word.
    """
    if isinstance(color_by, str) and color_by not in ("instance", "class"):
        raise ValueError(
            f'color_by must be "instance", "class" or a number per instance, not {color_by!r}.'
        )
    canvas = np.ascontiguousarray(image_bgr).copy()
    thickness = max(1, round(min(canvas.shape[:2]) / 400))

    # The largest first: a small object on a large one stays visible.
    for cutout in sorted(cutouts, key=lambda cutout: -cutout.mask.size):
        draw_mask(canvas, cutout, _color(cutout, color_by), alpha, thickness)

    # The most certain first: they get the best places.
    labels: list[_Label] = []
    for cutout in sorted(cutouts, key=lambda cutout: -(cutout.score or 0)):
        text = label_text(cutout.category, cutout.score, class_names)
        size = _fitting_font_size(text, canvas.shape, font_size)
        if size:
            box = _place_label(text, size, cutout, canvas.shape, [label.box for label in labels])
            labels.append(_Label(text, box, size, _color(cutout, color_by)))
    for label in reversed(labels):
        _draw_label(canvas, label)
    return canvas


def label_text(category: int, score: float | None, class_names: Sequence[str] | None) -> str:
    """Return "zero 93%" for a prediction and "zero" for an annotation; "class 0" where no font has it."""
    end = "" if score is None else f" {score:.0%}"
    text = class_name(category, class_names) + end
    return text if has_font(text) else class_name(category, None) + end


def _color(cutout: Cutout, color_by: ColorBy) -> tuple[int, int, int]:
    if isinstance(color_by, str):
        number = cutout.row if color_by == "instance" else cutout.category
    else:
        number = int(color_by[cutout.row])
    return PALETTE[number % len(PALETTE)]


def draw_mask(
    canvas: np.ndarray, cutout: Cutout, color: tuple[int, int, int], alpha: float, thickness: int
) -> None:
    """Fill and outline one instance on a picture, in place.

    Args:
        canvas: (H, W, 3) uint8, BGR.
        cutout: The instance, at the size of the picture.
        color: BGR.
        alpha: Opacity of the filling, 0 to 1.
        thickness: Of the outline, in pixels.
    """
    patch = canvas[cutout.box.slices]
    # The blend of 256 values instead of that of each pixel.
    blend = cv2.addWeighted(_RAMP, 1 - alpha, np.full_like(_RAMP, color), alpha, 0)
    cv2.copyTo(cv2.LUT(patch, blend), cutout.mask, patch)

    # [-2]: OpenCV 3 returns the image, too, before the contours.
    contours = cv2.findContours(cutout.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[-2]
    offset = (cutout.left, cutout.top)
    cv2.drawContours(canvas, contours, -1, color, thickness, cv2.LINE_AA, offset=offset)


def _fitting_font_size(text: str, shape: tuple[int, ...], wanted: int | None) -> int:
    """Return the largest font size, up to the wanted one, that fits the picture; 0: none."""
    height, width = shape[:2]
    largest = wanted or int(np.clip(round(0.026 * (height * width) ** 0.5), 11, 30))
    for size in range(largest, _MIN_FONT_SIZE - 1, -1):
        label_width, label_height = _label_size(text, size)
        if label_width <= width and 2 * label_height <= height:
            return size
    return 0


def _label_size(text: str, font_size: int) -> tuple[int, int]:
    height, width = text_coverage(text, font_size).shape
    return width + 2 * _LABEL_MARGIN, height


def _place_label(
    text: str, font_size: int, cutout: Cutout, shape: tuple[int, ...], taken: Sequence[Box]
) -> Box:
    """Return the place near the mask, within the picture, that covers least of the other labels."""
    width, height = _label_size(text, font_size)
    left, top, right, bottom = cutout.box
    corners = (
        (left, top - height),  # above the mask
        (left, bottom),  # below
        (right, top),  # to the right
        (left - width, top),  # to the left
        (left + (right - left - width) // 2, top + (bottom - top - height) // 2),  # in its middle
        (right - width, top - height),
        (right - width, bottom),
    )
    best, least = Box(0, 0, width, height), float("inf")
    for wanted_left, wanted_top in corners:
        left = min(max(0, wanted_left), shape[1] - width)
        top = min(max(0, wanted_top), shape[0] - height)
        box = Box(left, top, left + width, top + height)
        covered = sum(_overlap(box, other) for other in taken)
        if covered < least:
            best, least = box, covered
        if not covered:
            break
    return best


def _overlap(a: Box, b: Box) -> int:
    left, top, right, bottom = a.common(b)
    return max(0, right - left) * max(0, bottom - top)


def _draw_label(canvas: np.ndarray, label: _Label) -> None:
    canvas[label.box.slices] = label.color
    blue, green, red = label.color
    is_light = 0.114 * blue + 0.587 * green + 0.299 * red > 140
    ink = (20, 20, 20) if is_light else (255, 255, 255)
    left, top = label.box.left + _LABEL_MARGIN, label.box.top
    put_text(canvas, label.text, left, top, size=label.font_size, color=ink)
