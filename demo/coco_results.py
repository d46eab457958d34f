"""Instances as entries of a COCO-style result file."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import Instances

from solo.engine.predictor import Predictor
from solo.export.predictor import OnnxPredictor
from solo.visualization.draw import class_name


def to_records(
    instances: Instances, predictor: Predictor | OnnxPredictor, source: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Describe each instance of one image.

    Args:
        instances: On the CPU, with pred_boxes, scores, pred_classes, and pred_masks or pred_rles.
        predictor: What found them; it knows the classes.
        source: What each entry starts with, such as the image's file_name.

    Yields:
        `source`, category_id, category_name, bbox (XYWH in pixels), score, segmentation (RLE).
    """
    boxes = instances.pred_boxes.tensor.tolist()
    for index, (category, score) in enumerate(
        zip(instances.pred_classes.tolist(), instances.scores.tolist(), strict=True)
    ):
        left, top, right, bottom = boxes[index]
        yield {
            **source,
            "category_id": predictor.category_ids[category],
            "category_name": class_name(category, predictor.class_names),
            "bbox": [round(value, 2) for value in (left, top, right - left, bottom - top)],
            "score": round(score, 5),
            "segmentation": _rle(instances, index),
        }


def _rle(instances: Instances, index: int) -> dict[str, Any]:
    if instances.has("pred_rles"):
        rle = instances.pred_rles[index]
    else:
        mask = instances.pred_masks[index].numpy().astype(np.uint8)
        rle = mask_util.encode(np.asfortranarray(mask))
    counts = rle["counts"]
    # pycocotools gives bytes, which JSON has no word for; they are ASCII.
    counts = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in rle["size"]], "counts": counts}
