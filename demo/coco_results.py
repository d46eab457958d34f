"""Instances as entries of a COCO-style result file."""

from typing import Any

from detectron2.structures import Instances

from solo.prediction import Predictor


def to_records(
    instances: Instances, predictor: Predictor, source: dict[str, Any]
) -> list[dict[str, Any]]:
    """Describe each instance of one image.

    Args:
        instances: On the CPU, with pred_boxes, scores, pred_classes, and pred_masks or pred_rles.
        predictor: What found them; it knows the classes.
        source: What each entry starts with, such as the image's file_name.

    Returns:
        Per instance, `source` and what `Predictor.to_dicts` says of it.
    """
    return [{**source, **record} for record in predictor.to_dicts(instances)]
