"""COCO's tables, which take all predictions, and beside the AP how good what is shown of them is."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.structures import Boxes, BoxMode, Instances

from solo.architectures import BBOX, SEGM
from solo.evaluation.best_f1 import BestF1, best_f1
from solo.evaluation.coco import COCOEvaluator
from solo.evaluation.compared import lie_in_crowd, match_objects
from solo.layers.one_label import one_per_object


class ShownEvaluator(COCOEvaluator):
    """Adds to the table of masks `F1`, in percent at IoU 0.5, each object shown once, and its `threshold`.

    Where no masks are evaluated it is the table of boxes, and their IoU.
    """

    def _evaluate_all(
        self, predictions: list[dict[str, Any]], img_ids: Collection[Any] | None
    ) -> None:
        super()._evaluate_all(predictions, img_ids)
        task = SEGM if SEGM in self._tasks else BBOX
        if task in self._results:
            best = self._best_f1(predictions, img_ids)
            self._results[task].update(F1=100 * best.f1, threshold=best.threshold)

    def _best_f1(
        self, predictions: list[dict[str, Any]], img_ids: Collection[Any] | None
    ) -> BestF1:
        results = {item["image_id"]: item["instances"] for item in predictions}
        scores, hits, count = [np.zeros(0)], [np.zeros(0, dtype=bool)], 0
        for image_id in self._truth.numbers if img_ids is None else img_ids:
            truths = self._truth.api.imgToAnns[self._truth.numbers[image_id]]
            with_masks = SEGM in self._tasks
            objects = _annotated([one for one in truths if not one["iscrowd"]], with_masks)
            crowds = _annotated([one for one in truths if one["iscrowd"]], with_masks)
            found = _shown(results.get(image_id, []))
            are_hits = match_objects(found, objects) >= 0
            counted = are_hits | ~lie_in_crowd(found, crowds)
            scores.append(found.scores.numpy()[counted])
            hits.append(are_hits[counted])
            count += len(objects)
        return best_f1(np.concatenate(scores), np.concatenate(hits), count)


def _shown(results: list[dict[str, Any]]) -> Instances:
    """Return the results of an image in COCO's format, each object once."""
    found = Instances((0, 0))  # of any size
    found.scores = torch.tensor([item["score"] for item in results])
    found.pred_classes = torch.tensor([item["category_id"] for item in results])
    found.pred_boxes = _boxes(results)
    if all("segmentation" in item for item in results):
        found.pred_rles = [item["segmentation"] for item in results]
    return one_per_object(found)


def _annotated(items: Sequence[dict[str, Any]], with_masks: bool) -> Instances:
    """Return annotations in the form of predictions without scores; their classes are counted from 1."""
    truth = Instances((0, 0))
    truth.pred_classes = torch.tensor(
        [item["category_id"] - 1 for item in items], dtype=torch.int64
    )
    truth.pred_boxes = _boxes(items)
    if with_masks:
        truth.pred_rles = [item["segmentation"] for item in items]
    return truth


def _boxes(items: Sequence[dict[str, Any]]) -> Boxes:
    """Return the boxes of annotations or results, to the last digit."""
    boxes = torch.tensor([item["bbox"] for item in items], dtype=torch.float64).reshape(-1, 4)
    kept = Boxes(torch.zeros(0, 4))
    kept.tensor = BoxMode.convert(
        boxes, BoxMode.XYWH_ABS, BoxMode.XYXY_ABS
    )  # Boxes() makes float32
    return kept
