"""What was found in an image beside what there is, both with pred_classes, and pred_rles or pred_boxes alone.

Legend: P predictions, T objects or crowd regions.
"""

import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import Instances

from solo.evaluation.best_f1 import match
from solo.structures.instances import coco_boxes
from solo.structures.run_lengths import RLE

Shapes = list[RLE] | np.ndarray
"""Masks, or boxes (n, 4) as COCO has them, x, y, width, height."""


def match_objects(found: Instances, objects: Instances) -> np.ndarray:
    """Return which object each prediction finds, at any score, (P,), -1 for none; see `match`."""
    return match(
        _ious(found, objects, is_crowd=0), found.scores.numpy(), same_class(found, objects)
    )


def lie_in_crowd(found: Instances, crowds: Instances) -> np.ndarray:
    """Return (P,) bool, whether half of a prediction lies in a crowd region of its class: it is no mistake."""
    inside: np.ndarray = _ious(found, crowds, is_crowd=1) >= 0.5
    return (inside & same_class(found, crowds)).any(axis=1)


def shapes_of(found: Instances, truth: Instances) -> tuple[Shapes, Shapes]:
    """Return what is compared of predictions and objects: their masks where both have them, else their boxes."""
    if found.has("pred_rles") and truth.has("pred_rles"):
        return found.pred_rles, truth.pred_rles
    return coco_boxes(found), coco_boxes(truth)


def same_class(found: Instances, truth: Instances) -> np.ndarray:
    """Return (P, T) bool."""
    return (found.pred_classes[:, None] == truth.pred_classes).numpy()


def _ious(found: Instances, truth: Instances, *, is_crowd: int) -> np.ndarray:
    """Return (P, T), of masks where both have them; of crowds the share of each prediction that lies in them."""
    if not len(found) or not len(truth):
        return np.zeros((len(found), len(truth)))
    ious: np.ndarray = mask_util.iou(*shapes_of(found, truth), [is_crowd] * len(truth))
    return ious
