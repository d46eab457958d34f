"""What there is in an image and what was found in it, at any score, before it is judged.

Legend: P predictions and T objects of one image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from detectron2.structures import Instances

from solo.evaluation.coco import predicted_rles
from solo.evaluation.compared import lie_in_crowd, match_objects
from solo.layers.one_label import one_per_object
from solo.report.true_objects import have_masks, true_objects
from solo.structures.instances import are_boxes


@dataclass(frozen=True, eq=False, kw_only=True)
class LookedAt:
    """An image, of which only run lengths are kept; boxes where the model or the objects have no masks.

    Attributes:
        file_name: Of the image.
        truth: The objects, with pred_classes, and pred_rles or pred_boxes; crowds are none.
        found: The predictions, one per object, with pred_boxes, pred_classes, pred_rles, if any, and scores.
        matches: (P,) which object each prediction finds, -1 for none.
        in_crowd: (P,) bool, whether half of a prediction lies in a crowd region of its class.
        second_scores: Of the predictions that are left out, as `one_per_object` does.
    """

    file_name: str
    truth: Instances
    found: Instances
    matches: np.ndarray
    in_crowd: np.ndarray
    second_scores: np.ndarray


def look_at(record: dict[str, Any], every: Instances) -> LookedAt:
    """Compare what was found in an image with its record.

    Args:
        record: detectron2's.
        every: All predictions, with pred_rles, if the model makes masks.
    """
    found = one_per_object(every)
    objects = true_annotations(record)
    with_masks = not are_boxes(every) and have_masks(objects)
    truth = _annotated(objects, found.image_size, with_masks)
    crowds = [item for item in record.get("annotations", ()) if item.get("iscrowd", 0)]
    return LookedAt(
        file_name=record["file_name"],
        truth=truth,
        found=found,
        matches=match_objects(found, truth),
        in_crowd=lie_in_crowd(found, _annotated(crowds, found.image_size, with_masks)),
        second_scores=_left_out(every.scores, found.scores),
    )


def true_annotations(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotations of a record that are of one object each."""
    return [item for item in record.get("annotations", ()) if not item.get("iscrowd", 0)]


def _annotated(
    annotations: Sequence[dict[str, Any]], size: tuple[int, int], with_masks: bool
) -> Instances:
    """Return annotations in the form of predictions without scores."""
    if not with_masks:
        boxed = true_objects(annotations, size, with_masks=False)
        return Instances(size, pred_classes=boxed.gt_classes, pred_boxes=boxed.gt_boxes)
    if not annotations:
        return Instances(size, pred_classes=torch.zeros(0, dtype=torch.int64), pred_rles=[])
    truth = true_objects(annotations, size)
    rles = predicted_rles(Instances(size, pred_masks=truth.gt_masks.tensor))
    return Instances(size, pred_classes=truth.gt_classes, pred_rles=rles)


def _left_out(every: torch.Tensor, kept: torch.Tensor) -> np.ndarray:
    """Return the scores that are not among those kept, as often as they are not."""
    scores, counts = every.unique(return_counts=True)
    counts -= (scores[:, None] == kept).sum(dim=1)
    return scores.repeat_interleave(counts).numpy()
