"""One label per object: what was found once more, under another name, is left out of what people see.

Suppression compares within a class, as AP asks for: one object may be a three at 0.6 and an eight at 0.5.
"""

import numpy as np
import torch
from detectron2.structures import Instances
from pycocotools import mask as coco_mask
from torch import Tensor

from solo.config.choices import Intersections
from solo.layers.overlaps import mask_ious
from solo.structures.instances import are_boxes, coco_boxes, select_rows

# IoU from which on two masks are of one object: from there on both would be said to find it. On the digits
# no two true masks overlap by a tenth, and of 314 second labels 3 overlap the first by less than half.
SAME_OBJECT = 0.5


def one_per_object(instances: Instances) -> Instances:
    """Leave out each prediction whose mask overlaps that of a more confident one that is kept, or is empty.

    Without masks it is the boxes that are compared.

    Args:
        instances: n predictions in any order, with scores, and pred_masks, pred_rles or pred_boxes alone, on any
            device.

    Returns:
        Those that are kept, in their order, with the same fields.
    """
    if not len(instances):
        return instances
    order = instances.scores.argsort(descending=True, stable=True).cpu()
    same = (_ious(instances) >= SAME_OBJECT).cpu()[order][:, order].numpy()
    kept = same.diagonal().copy()  # an empty mask has an IoU of 0 with itself
    for index, others in enumerate(same):
        if kept[index]:
            kept[index + 1 :] &= ~others[index + 1 :]
    if kept.all():
        return instances  # no copy of its masks
    return select_rows(instances, order[torch.from_numpy(kept)].sort().values)


def _ious(instances: Instances) -> Tensor:
    """Return the (n, n) IoU of masks, of run lengths without a pixel decoded; of boxes where there are none."""
    if are_boxes(instances):
        boxes = coco_boxes(instances)
        return torch.from_numpy(coco_mask.iou(boxes, boxes, [0] * len(boxes)))
    if instances.has("pred_rles"):
        rles = instances.pred_rles
        return torch.from_numpy(coco_mask.iou(rles, rles, [0] * len(rles)))
    # At the size of an image few masks meet: a product of bytes would go through all pixels of each pair.
    kernel = Intersections.BITS if hasattr(np, "bitwise_count") else Intersections.AUTO
    return mask_ious(instances.pred_masks, kernel)
