"""The annotations of training images, as the losses want them."""

from typing import Any

import torch
from detectron2.structures import Instances

from solo.errors import UserError
from solo.layers.masks import to_bitmasks


def ground_truth(item: dict[str, Any], device: torch.device) -> Instances:
    """Bring the masks of one training image to the device, as (M, h, w) bool.

    Boxes and classes stay where they are: it is the CPU that assigns them to cells.

    Raises:
        UserError: If objects have no masks.
        ValueError: If there are no annotations.
    """
    instances = annotations(item)
    if not instances.has("gt_masks"):
        if len(instances):
            raise UserError(
                f"The annotations of {item.get('file_name', 'a training image')} have boxes but no "
                "masks; SOLO learns from masks."
            )
        # detectron2's mapper leaves the field out where an image shows no objects.
        masks = torch.zeros((0, *instances.image_size), dtype=torch.bool)
    else:
        masks = instances.gt_masks
    moved = Instances(instances.image_size)
    moved.gt_boxes = instances.gt_boxes
    moved.gt_classes = instances.gt_classes
    moved.gt_masks = to_bitmasks(masks, instances.image_size, device)
    return moved


def annotations(item: dict[str, Any]) -> Instances:
    """Return the annotations of a training image.

    Raises:
        ValueError: If there are none.
    """
    if "instances" not in item:
        raise ValueError(
            f"The training image {item.get('file_name', '')} has no 'instances'; "
            "its annotations were not loaded."
        )
    instances: Instances = item["instances"]
    return instances
