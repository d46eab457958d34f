"""What several rooms do with detectron2's Instances: keep the confident ones, and name their classes."""

from collections.abc import Sequence

import torch
from detectron2.structures import Instances

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


def class_name(category: int, class_names: Sequence[str] | None) -> str:
    """Return a class's name, or "class 3" where none is known."""
    if class_names is not None and category < len(class_names):
        return str(class_names[category])
    return f"class {category}"
