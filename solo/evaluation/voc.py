"""Pascal VOC's instance AP^r, "region AP" (Hariharan et al., arXiv 1407.1808).

Legend: D detections and G objects of one class in an image, T thresholds of IoU.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Collection
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pycocotools.mask as mask_util
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from detectron2.utils import comm
from detectron2.utils.logger import create_small_table

from solo.evaluation.coco import predicted_rles

logger = logging.getLogger(__name__)

# AP^r_vol is the mean of AP^r over these.
THRESHOLDS = tuple(tenths / 10 for tenths in range(1, 10))


class Detections(NamedTuple):
    """The detections of one class in an image.

    Attributes:
        category: The model's class channel.
        scores: (D,) confidences.
        hits: (D, T) bool, whether each is the one that finds an object.
    """

    category: int
    scores: np.ndarray
    hits: np.ndarray


class VOCInstanceEvaluator(DatasetEvaluator):
    """Evaluate masks by AP^r at IoU 0.5 and 0.7, and AP^r_vol, in percent.

    Pixels that a record calls ``void`` count neither for nor against a detection. Takes
    ``pred_masks`` as pixels or ``pred_rles``, and works with several workers.
    """

    def __init__(self, dataset_name: str) -> None:
        """Load the objects.

        Args:
            dataset_name: As registered with detectron2; its masks are RLE.
        """
        self._names = list(MetadataCatalog.get(dataset_name).thing_classes)
        self._truths = {r["image_id"]: r for r in DatasetCatalog.get(dataset_name)}
        self.reset()

    def reset(self) -> None:
        """Forget all detections."""
        self._found: list[Detections] = []

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Match the detections of some images with their objects.

        Args:
            inputs: Of the model, with ``image_id``.
            outputs: Of the model, with ``instances``: scores, pred_classes, and pred_masks
                (n, H, W) bool or pred_rles.
        """
        for item, output in zip(inputs, outputs, strict=True):
            self._found += _match(output["instances"], self._truths[item["image_id"]])

    def evaluate(
        self, image_ids: Collection[Any] | None = None
    ) -> OrderedDict[str, dict[str, float]] | None:
        """Return ``{"voc": {"APr50", "APr70", "APr_vol", "APr50-cat", ...}}`` on the main worker.

        The means are over the classes that have objects.

        Args:
            image_ids: The images whose objects are to be found. None: all.
        """
        gathered = comm.gather(self._found)
        if not comm.is_main_process():
            return None
        objects = Counter(
            item["category_id"]
            for image_id in (self._truths if image_ids is None else image_ids)
            for item in self._truths[image_id]["annotations"]
        )
        found = list(chain.from_iterable(gathered))
        aps = np.full((len(self._names), len(THRESHOLDS)), np.nan)
        for category in objects:
            aps[category] = _class_aps(
                [d for d in found if d.category == category], objects[category]
            )
        results = _summarise(100 * aps, self._names)
        logger.info("Masks by VOC's rules:\n%s", create_small_table(results))
        return OrderedDict(voc=results)


def match_masks(ious: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which detections of a class find an object of an image, at each threshold.

    As in VOC's own evaluation a detection goes for the object that it overlaps most, and the first
    that goes for it, by score, has it; the others are false.

    Args:
        ious: (D, G).
        scores: (D,).

    Returns:
        (D, T) bool.
    """
    hits = np.zeros((len(scores), len(THRESHOLDS)), dtype=bool)
    if not ious.size:
        return hits
    best, overlap = ious.argmax(axis=1), ious.max(axis=1)
    free = np.ones((ious.shape[1], len(THRESHOLDS)), dtype=bool)
    for index in np.argsort(-scores, kind="stable"):
        hits[index] = free[best[index]] & (overlap[index] >= THRESHOLDS)
        free[best[index]] &= ~hits[index]
    return hits


def average_precision(scores: np.ndarray, hits: np.ndarray, objects: int) -> float:
    """Return the area under the precision-recall curve, made monotonous, at all of its points.

    Args:
        scores: (n,) of the detections of a class in all images.
        hits: (n,) bool, whether each finds an object.
        objects: How many there are to find, at least one.
    """
    found = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    precision = found / np.arange(1, len(found) + 1)
    best_later = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(best_later * np.diff(found, prepend=0)) / objects)


def _match(instances: Instances, record: dict[str, Any]) -> list[Detections]:
    """Return the detections of an image, class by class."""
    rles = _without(predicted_rles(instances) or [], record.get("void"))
    classes = instances.pred_classes.cpu().numpy()
    scores = instances.scores.cpu().numpy().astype(np.float64)
    result = []
    for category in np.unique(classes):
        chosen = np.flatnonzero(classes == category)
        truths = [a["segmentation"] for a in record["annotations"] if a["category_id"] == category]
        ious = np.zeros((len(chosen), 0))
        if truths:
            ious = mask_util.iou([rles[index] for index in chosen], truths, [0] * len(truths))
        hits = match_masks(ious, scores[chosen])
        result.append(Detections(int(category), scores[chosen], hits))
    return result


def _without(rles: list[dict[str, Any]], void: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Take void pixels out of masks."""
    if void is None or not rles:
        return rles
    counted = mask_util.decode(void) == 0
    # (H, W, D) in Fortran order, which is what encode takes.
    return mask_util.encode(np.asfortranarray(mask_util.decode(rles) * counted[:, :, None]))


def _class_aps(found: list[Detections], objects: int) -> list[float]:
    """Return the AP of a class at each threshold."""
    if not found:
        return [0.0] * len(THRESHOLDS)
    scores = np.concatenate([detections.scores for detections in found])
    hits = np.concatenate([detections.hits for detections in found])
    return [average_precision(scores, column, objects) for column in hits.T]


def _summarise(aps: np.ndarray, names: list[str]) -> dict[str, float]:
    """Return the means and the APs of the classes; `aps` is (K, T), nan where nothing is to find."""
    at_50, at_70 = aps[:, THRESHOLDS.index(0.5)], aps[:, THRESHOLDS.index(0.7)]
    present = aps[~np.isnan(aps).any(axis=1)]
    means = present.mean(axis=0) if len(present) else np.full(len(THRESHOLDS), np.nan)
    return {
        "APr50": float(means[THRESHOLDS.index(0.5)]),
        "APr70": float(means[THRESHOLDS.index(0.7)]),
        "APr_vol": float(means.mean()),
        **{f"APr50-{name}": float(ap) for name, ap in zip(names, at_50, strict=True)},
        **{f"APr70-{name}": float(ap) for name, ap in zip(names, at_70, strict=True)},
    }
