"""The objects of an image as its annotations have them: their masks, or their boxes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data import transforms as T
from detectron2.structures import BitMasks, Boxes, Instances

from solo.data.segmentations import annotated_box, moved_region


def have_masks(annotations: Sequence[dict[str, Any]]) -> bool:
    """Return whether some annotations have masks, or there are none."""
    masks = [item.get("segmentation") is not None for item in annotations]
    return any(masks) or not masks


def true_objects(
    annotations: Sequence[dict[str, Any]], size: tuple[int, int], *, with_masks: bool = True
) -> Instances:
    """Return the annotations that have a mask, with gt_masks and gt_classes.

    Args:
        annotations: In detectron2's standard format; a box need not be there.
        size: (H, W) of the image.
        with_masks: If not, all have gt_boxes in the place of masks.
    """
    if not with_masks:
        boxes = np.array([annotated_box(item, size) for item in annotations]).reshape(-1, 4)
        known = torch.tensor([item["category_id"] for item in annotations], dtype=torch.int64)
        return Instances(size, gt_boxes=Boxes(torch.from_numpy(boxes)), gt_classes=known)
    drawn = [item for item in annotations if item.get("segmentation") is not None]
    masks = np.zeros((len(drawn), *size), dtype=bool)
    for mask, item in zip(masks, drawn, strict=True):
        if region := moved_region(item, T.TransformList([]), size, size):
            mask[region.box.slices] = region.pixels
    classes = torch.tensor([item["category_id"] for item in drawn], dtype=torch.int64)
    return Instances(size, gt_masks=BitMasks(torch.from_numpy(masks)), gt_classes=classes)
