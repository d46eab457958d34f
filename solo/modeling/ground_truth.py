"""The annotations of training images, as the losses want them."""

from collections.abc import Sequence
from typing import Any

import torch
from detectron2.structures import Instances
from torch import Tensor

from solo.errors import UserError
from solo.layers.masks import measure_masks, to_bitmasks
from solo.layers.transfer import to_host


def ground_truth(item: dict[str, Any], device: torch.device) -> Instances:
    """Bring the masks of one training image to the device, as (M, h, w) bool.

    Boxes, classes and `gt_measures`, if there are any, stay where they are: it is the CPU that assigns them to cells.

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
    if instances.has("gt_measures"):
        moved.gt_measures = instances.gt_measures
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


def measure(images: Sequence[Instances]) -> Tensor:
    """Return what `measure_masks` does, of the objects of all images, on the CPU: it waits where items do not say it.

    Without masks, boxes are filled.
    """
    if all(image.has("gt_measures") for image in images):
        return torch.cat([image.gt_measures for image in images])
    return to_host(torch.cat([*map(_measure, images)]))


def _measure(image: Instances) -> Tensor:
    if image.has("gt_masks"):
        return measure_masks(image.gt_masks)
    boxes = image.gt_boxes.tensor.double()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1, keepdim=True)
    # Centres are pixel indices, without the half pixel. The least object has a pixel.
    return torch.cat([(boxes[:, :2] + boxes[:, 2:] - 1) / 2, areas.ceil()], dim=1)
