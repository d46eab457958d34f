"""Boundary IoU (Cheng et al., arXiv 2103.16562): masks compared by a strip along their outlines, for COCO's AP.

Legend: D detections and G objects of one class in an image.
"""

import math
import weakref
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

import cv2
import numpy as np
import pycocotools.mask as mask_util

from solo.structures.run_lengths import RLE, boxes_of, decode_box, place_mask

# Width of the strip, of the diagonal of the image.
_SHARE = 0.02


def boundary_width(size: Sequence[int]) -> int:
    """Return how many pixels of a mask's outer rim count in an image of (H, W), as the official code rounds it."""
    height, width = size
    return max(1, round(_SHARE * math.sqrt(height**2 + width**2)))


def boundary_of(rle: RLE) -> RLE:
    """Return the pixels of a mask that are no farther than the width from one that is not of it, on both axes.

    Beyond the frame nothing is of it. Only the box of the mask is looked at.
    """
    (box,) = boxes_of([rle]).tolist()
    left, top, right, bottom = box
    side = 2 * boundary_width(rle["size"]) + 1
    if min(right - left, bottom - top) < side:  # nothing lies that deep
        return rle
    mask = decode_box(rle, box)
    frame = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    inner = cv2.erode(np.ascontiguousarray(mask), np.ones((side, side), dtype=np.uint8), **frame)
    return place_mask(mask != inner, (top, left), rle["size"])


def compare_boundaries(evaluated: Any, kept: MutableMapping[int, RLE]) -> None:
    """Let a COCOeval of masks, of either backend, take the lower IoU: of the masks, or of their boundaries.

    Pairs whose masks overlap too little for any threshold stay as they are: they match in neither case. So
    what is far off costs nothing. Crowds have no outline: of them it is the masks that count.

    Args:
        evaluated: With its limits set; its IoUs are not computed yet.
        kept: The boundaries of objects by their ids, for the next time; those that are needed are added.
    """
    mask_ious: Callable[[Any, int, int], Any] = type(evaluated).computeIoU
    least = min(evaluated.params.iouThrs)
    it = weakref.proxy(evaluated)  # a circle would keep all predictions

    def lower_ious(image: int, category: int) -> Any:
        """Return (D, G)."""
        ious = mask_ious(it, image, category)
        if not len(ious):
            return ious
        objects = _of_class(it.cocoGt, image, category)
        # The order of both backends, of which the first so many are compared.
        found = _of_class(it.cocoDt, image, category)
        found = sorted(found, key=lambda item: -item["score"])
        for index in np.flatnonzero((ious >= least).any(axis=1)).tolist():
            boundary = boundary_of(found[index]["segmentation"])
            for other in np.flatnonzero(ious[index] >= least).tolist():
                one = objects[other]
                if one["iscrowd"]:
                    continue
                if one["id"] not in kept:
                    kept[one["id"]] = boundary_of(one["segmentation"])
                iou = mask_util.iou([boundary], [kept[one["id"]]], [0])[0, 0]
                ious[index, other] = min(ious[index, other], iou)
        return ious

    evaluated.computeIoU = lower_ious


def _of_class(api: Any, image: int, category: int) -> list[dict[str, Any]]:
    return [item for item in api.imgToAnns[image] if item["category_id"] == category]
