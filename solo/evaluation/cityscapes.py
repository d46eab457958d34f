"""Cityscapes' instance AP, computed by cityscapesscripts from matches that are made here.

detectron2's evaluator writes an image per detection and lets the scripts read them all again. Their
reader stops under numpy 2.4, which has no in1d, and leaves a file in the working folder. Here each
worker matches its images as they come, and the scripts compute AP from the matches only.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from detectron2.utils import comm
from detectron2.utils.logger import create_small_table

from solo.errors import MissingPackageError
from solo.evaluation.cityscapes_shown import FIRST_INSTANCE, Tally, best_of, tally
from solo.images import opened
from solo.structures.cutouts import mask_reader

logger = logging.getLogger(__name__)

_SCRIPTS = "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling"
_IMAGE_END, _IDS_END = "_leftImg8bit.png", "_gtFine_instanceIds.png"


class CityscapesInstanceEvaluator(DatasetEvaluator):
    """Evaluate masks by Cityscapes' rules: AP and AP50, in percent, and AP per class.

    Beside them stand `F1` of what is shown, each object once, in percent at IoU 0.5, and its `threshold`.

    Takes ``pred_masks`` as pixels or ``pred_rles``, and works with several workers.
    """

    def __init__(self, dataset_name: str) -> None:
        """Look for the scripts.

        Args:
            dataset_name: As registered with detectron2; its metadata has thing_classes, by
                Cityscapes' names, and gt_dir.

        Raises:
            MissingPackageError: If cityscapesscripts is missing.
        """
        try:
            from cityscapesscripts.helpers.labels import labels
        except ImportError as error:
            raise MissingPackageError(
                f"the evaluation of {dataset_name} needs: pip install cityscapesscripts"
            ) from error
        metadata = MetadataCatalog.get(dataset_name)
        self._gt_dir = Path(metadata.gt_dir)
        self._names = list(metadata.thing_classes)
        self._evaluated = {
            label.id: label.name
            for label in labels
            if label.hasInstances and not label.ignoreInEval
        }
        self._void = [label.id for label in labels if label.ignoreInEval]
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self._matches: dict[str, tuple[dict[str, Any], Tally]] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Match the detections of some images.

        Args:
            inputs: Of the model, with ``file_name``.
            outputs: Of the model, with ``instances``: scores, pred_classes, and pred_masks
                (n, H, W) bool or pred_rles.
        """
        for item, output in zip(inputs, outputs, strict=True):
            image = Path(item["file_name"])
            truth = self._gt_dir / image.parent.name / image.name.replace(_IMAGE_END, _IDS_END)
            with opened(truth) as labels:
                ids = np.asarray(labels)
            found = output["instances"]
            covered = _covered(ids, found)
            objects = self._truths(ids)
            shown = tally(found, covered, objects, self._names, self._void)
            self._matches[str(truth)] = self._match(objects, found, covered), shown

    def evaluate(
        self, image_ids: Collection[Any] | None = None
    ) -> OrderedDict[str, dict[str, float]] | None:
        """Return ``{"segm": {"AP", "AP50", "F1", "threshold", "AP-person", ...}}`` on the main worker.

        Args:
            image_ids: Not needed: only the objects of processed images count.
        """
        gathered = comm.gather(self._matches)
        if not comm.is_main_process():
            return None
        scripts = import_module(_SCRIPTS)
        images = {name: image for part in gathered for name, image in part.items()}
        matches = {name: match for name, (match, _) in images.items()}
        scripts.setInstanceLabels(scripts.args)
        aps = scripts.evaluateMatches(matches, scripts.args)
        averages = scripts.computeAverages(aps, scripts.args)
        results = {"AP": averages["allAp"], "AP50": averages["allAp50%"]}
        classes = averages["classes"].items()
        results |= {f"AP-{name}": values["ap"] for name, values in classes}
        results = {name: float(value) * 100 for name, value in results.items()}
        best = best_of([shown for _, shown in images.values()])
        results |= {"F1": 100 * best.f1, "threshold": best.threshold}
        logger.info("Masks by Cityscapes' rules:\n%s", create_small_table(results))
        return OrderedDict(segm=results)

    def _match(
        self,
        truths: dict[str, list[dict[str, Any]]],
        instances: Instances,
        covered_by: Sequence[Counter[int]],
    ) -> dict[str, Any]:
        """Return what the scripts' ``evaluateMatches`` takes of an image.

        That is "groundTruth" and "prediction", by class name: dicts of numbers, each with those of
        the other kind that it shares pixels with.
        """
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in truths}
        classes, scores = instances.pred_classes.tolist(), instances.scores.tolist()
        for index, score, covered in zip(classes, scores, covered_by, strict=True):
            if not covered:
                continue
            prediction = {
                "pixelCount": covered.total(),
                "confidence": score,
                "voidIntersection": sum(covered[label] for label in self._void),
            }
            touched = [t for t in truths[self._names[index]] if t["instID"] in covered]
            matched = []
            for truth in touched:
                shared = {"intersection": covered[truth["instID"]]}
                matched.append({**truth, **shared})
                truth["matchedPred"].append({**prediction, **shared})
            found[self._names[index]].append({**prediction, "matchedGt": matched})
        return {"groundTruth": truths, "prediction": found}

    def _truths(self, ids: np.ndarray) -> dict[str, list[dict[str, Any]]]:
        """Return the objects and groups of an image, by class name."""
        truths: dict[str, list[dict[str, Any]]] = {name: [] for name in self._evaluated.values()}
        for number, area in zip(*_counted(ids), strict=True):
            label = number if number < FIRST_INSTANCE else number // FIRST_INSTANCE
            if label in self._evaluated:
                # Distances are not known: with these values every object takes part.
                unknown = {"medDist": -1, "distConf": 0.0}
                truth = {"instID": number, "pixelCount": area, "matchedPred": [], **unknown}
                truths[self._evaluated[label]].append(truth)
        return truths


def _covered(ids: np.ndarray, instances: Instances) -> list[Counter[int]]:
    """Return how many pixels of each number, of (H, W), each detection covers."""
    read_mask = mask_reader(instances)
    rows = range(len(instances))
    return [
        Counter(dict(zip(*_counted(ids[read_mask(row).astype(bool)]), strict=True))) for row in rows
    ]


def _counted(numbers: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the different numbers, and how often each is there."""
    values, counts = np.unique(numbers, return_counts=True)
    return values.tolist(), counts.tolist()
