"""Instances drawn on a picture: mask, contour and label, without a screen.

H, W: the picture's size in pixels.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence

import cv2
import numpy as np
from detectron2.structures import Instances

from solo.structures.cutouts import Cutout, get_cutouts
from solo.structures.instances import class_name
from solo.visualization.labels import Tag, draw_label, draw_leader, draw_note, place_labels
from solo.visualization.marks import Mark
from solo.visualization.palette import PALETTE, Color, ink_on, spread_colors
from solo.visualization.text import has_font

# Blue, green and red in what is seen as gray.
_GRAY = (0.114, 0.587, 0.299)
# Below the filling, colours are paler by this: the hue that is seen is that of the label, the picture's
# light and shade stay.
_PALING = 0.6
# "instance", "class", or a number per row of the instances.
ColorBy = str | Mapping[int, int] | Sequence[int] | np.ndarray
# Outlines are one pixel wide on pictures, or objects, whose area is that of a square with a shorter side
# than these, in pixels; wider ones have a casing.
_SMALL_PICTURE, _SMALL_OBJECT = 360, 16
# Corners of outlines that are nearer to a straight line than this, in pixels, are those of pixels.
_STRAIGHT = 0.7
# Of hatching and dashes, in thicknesses of the outline.
_HATCH, _DASH = 4, 5
DEFAULT_ALPHA = 0.5


def draw_instances(
    image_bgr: np.ndarray,
    instances: Instances,
    class_names: Sequence[str] | None = None,
    *,
    threshold: float = 0,
    alpha: float = DEFAULT_ALPHA,
    color_by: ColorBy = "instance",
    places: MutableMapping[int, int] | None = None,
) -> np.ndarray:
    """Draw the instances of one picture on a copy of it.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        instances: Predictions (`pred_masks` or `pred_rles`, `pred_classes`, `scores`) or
            annotations (`gt_masks`, `gt_classes`) of this picture, at its size.
        class_names: Name per class. A class without one is called by its number.
        threshold: Probability below which a prediction is left out; it is written into a corner.
        alpha: Opacity of the masks' filling, 0 to 1.
        color_by: "instance", a colour per row of the instances, unlike those of its neighbours; "class", a colour per class; or a
            number per row, such as those of a `Tracker`: equal numbers, equal colours.
        places: For the frames of a video, a dict that is empty at its start and handed in again with
            every frame: labels stay where they were.

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
    drawn = draw_cutouts(
        image_bgr, cutouts, class_names, alpha=alpha, color_by=color_by, places=places
    )
    if threshold:
        draw_note(drawn, f"from {100 * threshold:.3g}%")
    return drawn


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
    alpha: float = DEFAULT_ALPHA,
    color_by: ColorBy = "instance",
    font_size: int | None = None,
    marks: Mapping[int, Mark] | None = None,
    places: MutableMapping[int, int] | None = None,
) -> np.ndarray:
    """Draw instances that are cut out already, at the size of the picture; see `draw_instances`.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        cutouts: The instances.
        class_names: Name per class.
        alpha: Opacity of the masks' filling, 0 to 1.
        color_by: As in `draw_instances`.
        font_size: Of the labels, in pixels; None: by the size of the picture.
        marks: By row, what became of instances where the truth is known.
        places: As in `draw_instances`.

    Raises:
        ValueError: `color_by` is another word.
    """
    if isinstance(color_by, str) and color_by not in ("instance", "class"):
        raise ValueError(
            f'color_by must be "instance", "class" or a number per instance, not {color_by!r}.'
        )
    canvas = np.ascontiguousarray(image_bgr).copy()
    thickness = outline_thickness(canvas.shape)
    numbers = color_numbers(cutouts, color_by, canvas.shape)
    tags = [_tag(cutout, class_names, numbers[cutout.row], marks) for cutout in cutouts]
    draw_masks(canvas, tags, alpha, thickness)

    # The most certain first: they get the best places. In a video, the order has to last.
    steady = places is not None
    tags.sort(key=lambda tag: tag.number if steady else -(tag.cutout.score or 0))
    labels = place_labels(tags, cutouts, canvas.shape, font_size, places)
    for label in labels:
        draw_leader(canvas, label, max(1, thickness // 2))
    for label in labels:
        draw_label(canvas, label)
    return canvas


def _tag(
    cutout: Cutout,
    class_names: Sequence[str] | None,
    number: int,
    marks: Mapping[int, Mark] | None,
) -> Tag:
    text = label_text(cutout.category, cutout.score, class_names)
    mark = marks.get(cutout.row) if marks else None
    return Tag(cutout, text, PALETTE[number % len(PALETTE)], number, mark)


def outline_thickness(shape: Sequence[int]) -> int:
    """Return the thickness of outlines on a picture of (H, W), in pixels."""
    side = (shape[0] * shape[1]) ** 0.5
    return max(1 if side < _SMALL_PICTURE else 2, round(side / 480))


def label_text(category: int, score: float | None, class_names: Sequence[str] | None) -> str:
    """Return "zero 93%" for a prediction and "zero" for an annotation; "class 0" where no font has it."""
    end = "" if score is None else f" {score:.0%}"
    text = class_name(category, class_names) + end
    return text if has_font(text) else class_name(category, None) + end


def color_numbers(
    cutouts: Sequence[Cutout], color_by: ColorBy, shape: Sequence[int]
) -> Mapping[int, int]:
    """Return the number of the colour of each row, in a picture of (H, W); see `draw_instances`."""
    if isinstance(color_by, str):
        if color_by == "instance":
            return spread_colors(cutouts, shape)
        return {cutout.row: cutout.category for cutout in cutouts}
    return {cutout.row: int(color_by[cutout.row]) for cutout in cutouts}


def draw_masks(canvas: np.ndarray, tags: Sequence[Tag], alpha: float, thickness: int) -> None:
    """Fill and outline instances on a picture, in place, the smaller ones before the larger ones."""
    areas = {tag.cutout.row: int(np.count_nonzero(tag.cutout.mask)) for tag in tags}
    rising = sorted(tags, key=lambda tag: areas[tag.cutout.row])
    # Where masks overlap, the smallest has the filling: mixed colours are those of none.
    free = np.ones(canvas.shape[:2], dtype=np.uint8)
    for cutout, _, color, _, mark in rising:
        if cutout.is_box:
            continue  # it holds more than the object
        patch = free[cutout.box.slices]
        mask = cv2.bitwise_and(cutout.mask, patch)
        cv2.subtract(patch, cutout.mask, dst=patch)
        if mark and mark.value.hatched:
            mask &= _hatching(cutout, max(4, _HATCH * thickness))
        _fill(canvas, cutout._replace(mask=mask), color, alpha)

    # Above all fillings, so that the contour of what lies behind goes on.
    for cutout, _, color, _, mark in reversed(rising):
        fitting = max(1, min(thickness, int(areas[cutout.row] ** 0.5 * 2 / _SMALL_OBJECT)))
        dashed = mark is not None and mark.value.dashed
        _outline(canvas, cutout, color, fitting, cased=fitting > 1, dashed=dashed)


def draw_mask(
    canvas: np.ndarray, cutout: Cutout, color: Color, alpha: float, thickness: int
) -> None:
    """Fill and outline one instance on a picture, in place.

    Args:
        canvas: (H, W, 3) uint8, BGR.
        cutout: The instance, at the size of the picture.
        color: BGR.
        alpha: Opacity of the filling, 0 to 1.
        thickness: Of the outline, in pixels.
    """
    _fill(canvas, cutout, color, alpha)
    _outline(canvas, cutout, color, thickness)


def _fill(canvas: np.ndarray, cutout: Cutout, color: Color, alpha: float) -> None:
    if alpha:
        patch = canvas[cutout.box.slices]
        kept = (1 - _PALING) * np.eye(3) + _PALING * np.array(_GRAY)
        blend = np.hstack([(1 - alpha) * kept, alpha * np.array(color)[:, None]])
        cv2.copyTo(cv2.transform(patch, blend), cutout.mask, patch)


def _hatching(cutout: Cutout, width: int) -> np.ndarray:
    """Return diagonal stripes, (h, w) of 0 and 1, that go on from one object to the next."""
    height, length = cutout.mask.shape
    diagonals = np.add.outer(np.arange(height) + cutout.top, np.arange(length) + cutout.left)
    return (diagonals // width % 2).astype(np.uint8)


def _outline(
    canvas: np.ndarray,
    cutout: Cutout,
    color: Color,
    thickness: int,
    *,
    cased: bool = False,
    dashed: bool = False,
) -> None:
    """Draw the contour: a line of the colour, within a wider one that is light or dark."""
    kind = cv2.CHAIN_APPROX_NONE if dashed else cv2.CHAIN_APPROX_SIMPLE
    # [-2]: OpenCV 3 returns the image, too, before the contours.
    corner = (cutout.left, cutout.top)
    contours = cv2.findContours(cutout.mask, cv2.RETR_CCOMP, kind, offset=corner)[-2]
    smooth = [cv2.approxPolyDP(contour, _STRAIGHT, True) for contour in contours]
    if cased or dashed:
        casing = thickness + 1 + thickness // 3
        cv2.polylines(canvas, smooth, True, ink_on(color), casing, cv2.LINE_AA)
    lines = (
        [dash for contour in contours for dash in _dashes(contour, thickness)] if dashed else smooth
    )
    cv2.polylines(canvas, lines, not dashed, color, thickness, cv2.LINE_AA)


def _dashes(contour: np.ndarray, thickness: int) -> Iterator[np.ndarray]:
    length = _DASH * thickness + 2
    for start in range(0, len(contour), 2 * length):
        yield contour[start : start + length]
