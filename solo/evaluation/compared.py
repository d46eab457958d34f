"""What was found in an image beside what there is, both with pred_classes and pred_rles.

Legend: P predictions, T objects or crowd regions.
"""

import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import Instances

from solo.evaluation.best_f1 import match


def match_objects(found: Instances, objects: Instances) -> np.ndarray:
    """Return which object each prediction finds, at any score, (P,), -1 for none; see `match`."""
    return match(
        _ious(found, objects, is_crowd=0), found.scores.numpy(), same_class(found, objects)
    )


def lie_in_crowd(found: Instances, crowds: Instances) -> np.ndarray:
    """Return (P,) bool, whether half of a prediction lies in a crowd region of its class: it is no mistake."""
    inside: np.ndarray = _ious(found, crowds, is_crowd=1) >= 0.5
    return (inside & same_class(found, crowds)).any(axis=1)


def same_class(found: Instances, truth: Instances) -> np.ndarray:
    """Return (P, T) bool."""
    return (found.pred_classes[:, None] == truth.pred_classes).numpy()


def _ious(found: Instances, truth: Instances, *, is_crowd: int) -> np.ndarray:
    """Return (P, T); of crowds the share of each prediction that lies in them."""
    if not len(found) or not len(truth):
        return np.zeros((len(found), len(truth)))
    ious: np.ndarray = mask_util.iou(found.pred_rles, truth.pred_rles, [is_crowd] * len(truth))
    return ious
