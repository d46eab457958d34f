"""A predictor whose instances are known: the objects of a data set."""

import torch
from detectron2.data.detection_utils import annotations_to_instances
from detectron2.structures import Boxes, Instances


class Perfect:
    """Finds the objects, crowds among them, of the records of a data set, one after the other."""

    category_ids = (0, 1, 2)
    class_names = ()

    def __init__(self, records):
        self.records = iter(records)

    def __call__(self, image):
        size = image.shape[:2]
        truth = annotations_to_instances(next(self.records)["annotations"], size, "bitmask")
        return Instances(
            size,
            pred_boxes=Boxes(truth.gt_boxes.tensor),
            pred_classes=truth.gt_classes,
            pred_masks=truth.gt_masks.tensor,
            scores=torch.full((len(truth),), 0.9),
        )
