"""A part of an image in close-up: some of its objects beside some of the predictions.

Legend: H, W size of the image in pixels, h, w of the part.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.structures import Boxes, Instances

from solo.structures.box import Box
from solo.structures.cutouts import Cutout, get_cutouts
from solo.structures.instances import are_boxes, select_rows
from solo.structures.run_lengths import rles_of
from solo.visualization.draw import draw_cutouts, draw_mask
from solo.visualization.gallery import Panel, gallery
from solo.visualization.marks import Marks, Side, look_of_sides
from solo.visualization.sheet import scale_to

_LABEL_SIZE = 12
# Around the instances, as a share of the longer side of their box, and the least size, in pixels.
_MARGIN = 0.3
_MIN_SIDE = 48
_OTHERS = (235, 235, 235)


def draw_close_up(
    image_bgr: np.ndarray,
    truth: Instances,
    prediction: Instances,
    class_names: Sequence[str] | None = None,
    *,
    truth_rows: Collection[int] = (),
    prediction_rows: Collection[int] = (),
    side: int = 220,
    marks: Marks | None = None,
) -> np.ndarray:
    """Draw some objects, beside some predictions, on the part of an image that shows them.

    All others are outlined.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        truth: With pred_rles, or pred_boxes alone, and pred_classes.
        prediction: The same, and scores.
        class_names: Name per class.
        truth_rows: The objects. With no row of either kind the whole image is drawn.
        prediction_rows: The predictions.
        side: Longer side of each picture, in pixels.
        marks: Of all objects and predictions.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    pairs = ((truth, truth_rows), (prediction, prediction_rows))
    chosen = [
        rle for one, chosen_rows in pairs for rle in rles_of(select_rows(one, _index(chosen_rows)))
    ]
    box = box_around(chosen, truth.image_size)
    part = scale_to(image_bgr[box.slices], side)
    size = (part.shape[0], part.shape[1])
    rows = (truth_rows, prediction_rows)
    cutouts = [get_cutouts(_cropped(one, box), size=size) for one in (truth, prediction)]
    objects, found = (
        [cutout for cutout in side_cutouts if cutout.row in side_rows]
        for side_cutouts, side_rows in zip(cutouts, rows, strict=True)
    )
    looks = look_of_sides(objects, found, marks, size)
    panels = [
        Panel(_draw(part, side_cutouts, side_rows, look, class_names), (title,))
        for title, side_cutouts, side_rows, look in zip(
            ("truth", "prediction"), cutouts, rows, looks, strict=True
        )
    ]
    return gallery(panels, 2)


def box_around(rles: Sequence[dict[str, Any]], size: tuple[int, int]) -> Box:
    """Return the square around masks, with a margin, as far as the (H, W) image reaches."""
    height, width = size
    bounds = mask_util.toBbox(mask_util.merge(list(rles))) if rles else np.zeros(4)
    left, top, box_width, box_height = (int(value) for value in bounds)
    if not box_width:
        return Box(0, 0, width, height)
    side = round(max(max(box_width, box_height) * (1 + 2 * _MARGIN), _MIN_SIDE))
    left = _within(left + (box_width - side) // 2, side, width)
    top = _within(top + (box_height - side) // 2, side, height)
    return Box(left, top, min(left + side, width), min(top + side, height))


def _index(rows: Collection[int]) -> torch.Tensor:
    return torch.tensor([*rows], dtype=torch.int64)


def _within(start: int, length: int, limit: int) -> int:
    return max(0, min(start, limit - length))


def _cropped(instances: Instances, box: Box) -> Instances:
    """Return the part of instances inside a box, with `pred_masks` in the place of `pred_rles`, if any."""
    size = (box.bottom - box.top, box.right - box.left)
    fields = dict(instances.get_fields())
    if are_boxes(instances):
        corner = fields["pred_boxes"].tensor.new_tensor([box.left, box.top] * 2)
        fields["pred_boxes"] = Boxes(fields["pred_boxes"].tensor - corner)
        return Instances(size, **fields)
    # One at a time: all masks of a large image are gigabytes.
    masks = [
        torch.from_numpy(mask_util.decode(rle)[box.slices].astype(bool))
        for rle in fields.pop("pred_rles")
    ]
    fields["pred_masks"] = torch.stack(masks) if masks else torch.zeros(0, *size, dtype=torch.bool)
    return Instances(size, **fields)


def _draw(
    picture: np.ndarray,
    cutouts: Sequence[Cutout],
    rows: Collection[int],
    look: Side,
    names: Sequence[str] | None,
) -> np.ndarray:
    picture = picture.copy()
    for cutout in cutouts:
        if cutout.row not in rows:
            draw_mask(picture, cutout, _OTHERS, 0, 1)
    return draw_cutouts(
        picture,
        [cutout for cutout in cutouts if cutout.row in rows],
        names,
        color_by=look.colors,
        marks=look.marks,
        font_size=_LABEL_SIZE,
    )
