"""A part of an image in close-up: some of its objects beside some of the predictions.

Legend: H, W size of the image in pixels, h, w of the part.
"""

from collections.abc import Collection, Sequence

import cv2
import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.structures import Instances

from solo.visualization.draw import draw_mask, draw_regions
from solo.visualization.gallery import Panel, gallery
from solo.visualization.regions import get_regions
from solo.visualization.sheet import scale_to

_LABEL_SIZE = 12
# Around the instances, as a share of the longer side of their box, and the least size, in pixels.
_MARGIN = 0.3
_MIN_SIDE = 48
_OTHERS = (235, 235, 235)

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


def draw_close_up(
    image_bgr: np.ndarray,
    truth: Instances,
    prediction: Instances,
    class_names: Sequence[str] | None = None,
    *,
    truth_rows: Collection[int] = (),
    prediction_rows: Collection[int] = (),
    side: int = 220,
) -> np.ndarray:
    """Draw some objects, beside some predictions, on the part of an image that shows them.

    All others are outlined.

    Args:
        image_bgr: (H, W, 3) uint8, BGR.
        truth: With pred_rles and pred_classes.
        prediction: The same, and scores.
        class_names: Name per class.
        truth_rows: The objects. With no row of either kind the whole image is drawn.
        prediction_rows: The predictions.
        side: Longer side of each picture, in pixels.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    objects, found = _with_masks(truth), _with_masks(prediction)
    shown = [objects.pred_masks[list(truth_rows)], found.pred_masks[list(prediction_rows)]]
    box = _box_around(torch.cat(shown).any(dim=0).numpy())
    left, top, right, bottom = box
    part = scale_to(image_bgr[top:bottom, left:right], side)
    panels = [
        Panel(_draw(part, _cropped(objects, box), truth_rows, class_names), ("truth",)),
        Panel(_draw(part, _cropped(found, box), prediction_rows, class_names), ("prediction",)),
    ]
    return gallery(panels, 2)


def _with_masks(instances: Instances) -> Instances:
    """Return the same instances with `pred_masks`, (n, H, W) bool, in the place of `pred_rles`."""
    fields = dict(instances.get_fields())
    masks = [torch.from_numpy(mask_util.decode(rle)).bool() for rle in fields.pop("pred_rles")]
    empty = torch.zeros(0, *instances.image_size, dtype=torch.bool)
    result = Instances(instances.image_size, **fields)
    result.pred_masks = torch.stack(masks) if masks else empty
    return result


def _box_around(shown: np.ndarray) -> Box:
    """Return the square around (H, W) pixels, with a margin, as far as the image reaches."""
    height, width = shown.shape
    left, top, box_width, box_height = cv2.boundingRect(shown.astype(np.uint8))
    if not box_width:
        return 0, 0, width, height
    side = round(max(max(box_width, box_height) * (1 + 2 * _MARGIN), _MIN_SIDE))
    left = _within(left + (box_width - side) // 2, side, width)
    top = _within(top + (box_height - side) // 2, side, height)
    return left, top, min(left + side, width), min(top + side, height)


def _within(start: int, length: int, limit: int) -> int:
    return max(0, min(start, limit - length))


def _cropped(instances: Instances, box: Box) -> Instances:
    left, top, right, bottom = box
    part = Instances((bottom - top, right - left), **instances.get_fields())
    part.pred_masks = instances.pred_masks[:, top:bottom, left:right]
    return part


def _draw(
    picture: np.ndarray,
    instances: Instances,
    rows: Collection[int],
    class_names: Sequence[str] | None,
) -> np.ndarray:
    regions = get_regions(instances, size=(picture.shape[0], picture.shape[1]))
    picture = picture.copy()
    for region in regions:
        if region.index not in rows:
            draw_mask(picture, region, _OTHERS, 0, 1)
    chosen = [region for region in regions if region.index in rows]
    return draw_regions(picture, chosen, class_names, color_by="class", font_size=_LABEL_SIZE)
