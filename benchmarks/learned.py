"""What a model learnt, by its detections on a registered data set: one comparison for ours and for rivals."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import pycocotools.mask as mask_util
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, Instances

from solo.architectures import BOUNDARY, SEGM
from solo.data import load_records
from solo.evaluation import COCOEvaluator


class Learned(NamedTuple):
    """AP of masks in percent, and what it cost.

    Attributes:
        ap: Over IoU .5 to .95.
        boundary: Boundary AP.
        ap50: At IoU .5.
        ap75: At IoU .75.
        small: Of objects under 32 x 32 pixels.
        medium: Of objects under 96 x 96 pixels.
        run_s: Seconds of training and evaluation.
        peak_mb: Of the process that trained.
    """

    ap: float
    boundary: float
    ap50: float
    ap75: float
    small: float
    medium: float
    run_s: float = 0.0
    peak_mb: float = 0.0


def compare(detections: Sequence[dict[str, Any]], dataset: str) -> Learned:
    """Compare detections in COCO's format, with RLEs, with the annotations of a data set."""
    metadata = MetadataCatalog.get(dataset)
    mapping = metadata.get("thing_dataset_id_to_contiguous_id")
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for detection in detections:
        by_image[detection["image_id"]].append(detection)
    evaluator = COCOEvaluator(dataset, (SEGM, BOUNDARY), distributed=False)
    evaluator.reset()
    for record in load_records(dataset):
        instances = _instances(by_image[record["image_id"]], record, mapping)
        evaluator.process([record], [{"instances": instances}])
    tables = evaluator.evaluate()
    masks = tables[SEGM]
    numbers = (masks[name] for name in ("AP50", "AP75", "APs", "APm"))
    return Learned(masks["AP"], tables[BOUNDARY]["AP"], *numbers)


def _instances(
    detections: Sequence[dict[str, Any]], record: dict[str, Any], mapping: dict[int, int] | None
) -> Instances:
    rles = [detection["segmentation"] for detection in detections]
    boxes = torch.tensor(mask_util.toBbox(rles)).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    classes = [detection["category_id"] for detection in detections]
    return Instances(
        (record["height"], record["width"]),
        pred_rles=rles,
        pred_boxes=Boxes(boxes),
        scores=torch.tensor([float(detection["score"]) for detection in detections]),
        pred_classes=torch.tensor([mapping[number] if mapping else number for number in classes]),
    )
