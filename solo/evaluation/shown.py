"""COCO's tables, which take all predictions, and beside the mask AP how good what is shown of them is."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.structures import Instances

from solo.evaluation.best_f1 import BestF1, best_f1, match
from solo.evaluation.coco import COCOEvaluator
from solo.layers.one_label import one_per_object


class ShownEvaluator(COCOEvaluator):
    """Adds to the table of masks `F1`, in percent at IoU 0.5, each object shown once, and its `threshold`."""

    def _evaluate_all(
        self, predictions: list[dict[str, Any]], img_ids: Collection[Any] | None
    ) -> None:
        super()._evaluate_all(predictions, img_ids)
        if "segm" in self._results:
            best = self._best_f1(predictions, img_ids)
            self._results["segm"].update(F1=100 * best.f1, threshold=best.threshold)

    def _best_f1(
        self, predictions: list[dict[str, Any]], img_ids: Collection[Any] | None
    ) -> BestF1:
        results = {item["image_id"]: item["instances"] for item in predictions}
        scores, hits, count = [np.zeros(0)], [np.zeros(0, dtype=bool)], 0
        for image_id in self._truth.numbers if img_ids is None else img_ids:
            truths = self._truth.api.imgToAnns[self._truth.numbers[image_id]]
            objects = [item for item in truths if not item["iscrowd"]]
            crowds = [item for item in truths if item["iscrowd"]]
            of_image = _compare(_shown(results.get(image_id, [])), objects, crowds)
            scores.append(of_image[0])
            hits.append(of_image[1])
            count += len(objects)
        return best_f1(np.concatenate(scores), np.concatenate(hits), count)


def _shown(results: list[dict[str, Any]]) -> Instances:
    """Return the results of an image in COCO's format, each object once."""
    found = Instances((0, 0))  # of any size
    found.scores = torch.tensor([item["score"] for item in results])
    found.pred_classes = torch.tensor([item["category_id"] for item in results])
    found.pred_rles = [item["segmentation"] for item in results]
    return one_per_object(found)


def _compare(
    found: Instances, objects: Sequence[dict[str, Any]], crowds: Sequence[dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the predictions that count, and whether each finds an object."""
    scores = found.scores.numpy()
    hits = match(_ious(found, objects, 0), scores, _same_class(found, objects)) >= 0
    # What lies by half in a crowd of its class is no mistake.
    excused = (_ious(found, crowds, 1) >= 0.5) & _same_class(found, crowds)
    counted = hits | ~excused.any(axis=1)
    return scores[counted], hits[counted]


def _ious(found: Instances, truths: Sequence[dict[str, Any]], crowd: int) -> np.ndarray:
    """Return (P, T); of crowds the share of each prediction that lies in them."""
    if not len(found) or not truths:
        return np.zeros((len(found), len(truths)))
    rles = [item["segmentation"] for item in truths]
    shared: np.ndarray = mask_util.iou(found.pred_rles, rles, [crowd] * len(rles))
    return shared


def _same_class(found: Instances, truths: Sequence[dict[str, Any]]) -> np.ndarray:
    """Return (P, T) bool; classes of the truth are counted from 1."""
    classes = np.array([item["category_id"] for item in truths], dtype=int)
    same: np.ndarray = found.pred_classes[:, None].numpy() + 1 == classes
    return same
