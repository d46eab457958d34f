"""The objects of an image as its annotations have them, with boxes or without."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.data import transforms as T
from detectron2.structures import BitMasks, Instances

from solo.data.segmentations import moved_region


def true_objects(annotations: Sequence[dict[str, Any]], size: tuple[int, int]) -> Instances:
    """Return the annotations that have a mask, with gt_masks and gt_classes.

    Args:
        annotations: In detectron2's standard format; a box need not be there.
        size: (H, W) of the image.
    """
    drawn = [item for item in annotations if item.get("segmentation") is not None]
    masks = np.zeros((len(drawn), *size), dtype=bool)
    for mask, item in zip(masks, drawn, strict=True):
        if region := moved_region(item, T.TransformList([]), size, size):
            mask[region.box.slices] = region.pixels
    classes = torch.tensor([item["category_id"] for item in drawn], dtype=torch.int64)
    return Instances(size, gt_masks=BitMasks(torch.from_numpy(masks)), gt_classes=classes)
