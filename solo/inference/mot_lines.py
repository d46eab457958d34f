"""Tracks as lines of text, in the format of MOTChallenge, which TrackEval and others read."""

from collections.abc import Sequence

import numpy as np
from detectron2.structures import Instances

from solo.structures.instances import coco_boxes


def mot_lines(
    frame: int, instances: Instances, numbers: np.ndarray, category_ids: Sequence[int | str]
) -> list[str]:
    """Return the lines of a frame: frame,id,x,y,w,h,score,class,visibility.

    Frames, ids and pixels count from 1, as MOTChallenge does. The class is the data set's own number, if it is
    one; else that of the model, from 0. How much of an object is in view is not known: -1.

    Args:
        frame: Its number, from 0.
        instances: n predictions with `pred_boxes`, `scores` and `pred_classes`.
        numbers: Their n numbers in the video, from 0.
        category_ids: Per class, as a predictor has them.
    """
    rows = zip(
        numbers.tolist(),
        coco_boxes(instances).tolist(),
        instances.scores.tolist(),
        instances.pred_classes.tolist(),
        strict=True,
    )
    return [
        f"{frame + 1},{number + 1},{x + 1:.2f},{y + 1:.2f},{width:.2f},{height:.2f},{score:.5f},"
        f"{_class_number(label, category_ids)},-1"
        for number, (x, y, width, height), score, label in rows
    ]


def _class_number(label: int, category_ids: Sequence[int | str]) -> int:
    category = category_ids[label]
    return category if isinstance(category, int) else label
