"""What several rooms do with detectron2's Instances: keep the confident ones, ask for boxes, name their classes."""

from collections.abc import Sequence

import numpy as np
import torch
from detectron2.structures import BoxMode, Instances

# Score from which on instances are shown where no evaluation told a better one.
THRESHOLD = 0.3


def select_confident(instances: Instances, threshold: float) -> Instances:
    """Keep the instances whose score is at least a threshold.

    Args:
        instances: n instances with `scores`; fields may be tensors, boxes or lists.
        threshold: Probability.

    Returns:
        The instances kept, in their order, with the same fields.
    """
    return select_rows(instances, torch.nonzero(instances.scores >= threshold).flatten())


def select_rows(instances: Instances, rows: torch.Tensor) -> Instances:
    """Return the instances of some rows, (m,) int64, with the same fields: tensors, boxes or lists."""
    kept = Instances(instances.image_size)
    for name, value in instances.get_fields().items():
        # Instances can index tensors and boxes by rows, but not a list such as pred_rles.
        kept.set(name, [value[row] for row in rows] if isinstance(value, list) else value[rows])
    return kept


def are_boxes(instances: Instances) -> bool:
    """Return whether boxes are all that is known of predictions or annotations: there are no masks."""
    has_masks = any(map(instances.has, ("pred_rles", "pred_masks", "gt_masks")))
    return not has_masks and any(map(instances.has, ("pred_boxes", "gt_boxes")))


def without_masks(instances: Instances) -> Instances:
    """Return predictions with their boxes alone."""
    fields = instances.get_fields().items()
    kept = {name: value for name, value in fields if name not in ("pred_rles", "pred_masks")}
    return Instances(instances.image_size, **kept)


def coco_boxes(instances: Instances) -> np.ndarray:
    """Return the boxes of n predictions as COCO has them: x, y, width, height, (n, 4) float64."""
    boxes = instances.pred_boxes.tensor.detach().cpu().double()
    converted: np.ndarray = BoxMode.convert(boxes, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS).numpy()
    return converted


def class_name(category: int, class_names: Sequence[str] | None) -> str:
    """Return a class's name, or "class 3" where none is known."""
    if class_names is not None and category < len(class_names):
        return str(class_names[category])
    return f"class {category}"
