"""A trained model on held-out images: AP, precision-recall curves, and what became of each object.

Legend: T IoU thresholds of COCO, R recalls, K classes; P predictions and T objects of one image.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from solo.errors import UserError
from solo.evaluation.best_f1 import best_f1, match
from solo.evaluation.coco import COCOEvaluator, predicted_rles
from solo.evaluation.loop import run_evaluation
from solo.images import MAX_PIXELS
from solo.inference import Predictor
from solo.inference.datasets import ReadOneByOne, choose_records
from solo.report.matching import Overlaps, image_score
from solo.report.true_objects import true_objects
from solo.report.verdicts import Verdict, classify
from solo.structures.instances import THRESHOLD, select_confident
from solo.structures.run_lengths import RLE


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageResult:
    """What a model found in one image, from the score threshold on.

    Attributes:
        file_name: Of the image.
        truth: The objects, with pred_classes and pred_rles; crowds are none.
        found: The predictions, with pred_classes, pred_rles and scores.
        verdict: The kinds of predictions and objects.
        score: See `image_score`.
    """

    file_name: str
    truth: Instances
    found: Instances
    verdict: Verdict
    score: float


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """A model's results on a data set.

    Attributes:
        dataset: Its name.
        class_names: K of them.
        num_records: Images of the data set; `images` may be fewer.
        tables: AP in percent, as ``{"bbox": {"AP": ..., "AP-cat": ...}, "segm": ...}``.
        precisions: Per task (T, R, K), -1 where there are no objects of a class.
        threshold: Score from which on predictions are classified: that of the best F1.
        images: Those looked at.
    """

    dataset: str
    class_names: list[str]
    num_records: int
    tables: dict[str, dict[str, float]]
    precisions: dict[str, np.ndarray]
    threshold: float
    images: list[ImageResult]


class _CurveEvaluator(COCOEvaluator):
    """Keeps the precision of each recall, which detectron2's tables leave out."""

    def _derive_coco_results(
        self, coco_eval: Any, iou_type: str, class_names: list[str] | None = None
    ) -> dict[str, float]:
        # The first area range is that of all sizes, the last limit the largest one.
        self.precisions[iou_type] = coco_eval.eval["precision"][:, :, :, 0, -1]
        return super()._derive_coco_results(coco_eval, iou_type, class_names)

    def reset(self) -> None:
        super().reset()
        self.precisions: dict[str, np.ndarray] = {}


@dataclass(frozen=True, eq=False, kw_only=True)
class _Seen:
    """What there is in an image, and what was found in it, at any score."""

    file_name: str
    truth: Instances
    found: Instances
    in_crowd: np.ndarray  # (P,) bool


def examine(predictor: Predictor, dataset: str, num_images: int | None = None) -> HeldOut:
    """Run a model on a data set, by COCO's rules whatever the data set's own evaluator is.

    Of the images only run lengths are kept.

    Args:
        predictor: With the classes of the data set, in its order.
        dataset: As registered with detectron2, with masks.
        num_images: Look at so many images, spread evenly. None: at all.

    Raises:
        UserError: There is no such data set, it has no masks, or other classes than the model.
        OSError: A file cannot be read.
    """
    chosen = choose_records(predictor, dataset, num_images)
    if not any(_objects(record) for record in chosen):
        raise UserError(
            f"None of the {len(chosen)} images of {dataset} has an annotated object: there is nothing "
            "to compare with."
        )
    evaluator = _CurveEvaluator(dataset, distributed=False)
    seen: list[_Seen] = []

    def find(batch: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        looked_at = [_see(item, predictor) for item in batch]
        seen.extend(looked_at)
        return [{"instances": image.found} for image in looked_at]

    some = None if num_images is None else [record["image_id"] for record in chosen]
    # Whatever finds instances may stand here, also without a limit of its own.
    batches = ReadOneByOne(chosen, getattr(predictor, "max_pixels", MAX_PIXELS))
    tables = run_evaluation(find, batches, evaluator, name=dataset, image_ids=some)
    threshold = _best_threshold(seen)
    return HeldOut(
        dataset=dataset,
        class_names=list(MetadataCatalog.get(dataset).thing_classes),
        num_records=len(DatasetCatalog.get(dataset)),
        tables=tables,
        precisions=evaluator.precisions,
        threshold=threshold,
        images=[_judge(image, threshold) for image in seen],
    )


def _objects(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in record.get("annotations", ()) if not item.get("iscrowd", 0)]


def judge_image(
    record: dict[str, Any], predict: Callable[[np.ndarray], Instances], threshold: float
) -> ImageResult:
    """Find the instances of an image, of a record that has it, and say what became of each."""
    return _judge(_see(record, predict), threshold)


def _see(record: dict[str, Any], predictor: Callable[[np.ndarray], Instances]) -> _Seen:
    """Find the instances of an image, of a record that has it."""
    found = predictor(record["image"])
    # A mask of a large image is a thousand times its run lengths.
    kept = {name: found.get(name) for name in ("pred_boxes", "scores", "pred_classes")}
    found = Instances(found.image_size, **kept, pred_rles=predicted_rles(found))
    crowds = [item for item in record.get("annotations", ()) if item.get("iscrowd", 0)]
    return _Seen(
        file_name=record["file_name"],
        truth=_annotated(_objects(record), found.image_size),
        found=found,
        in_crowd=_in_crowd(found, _annotated(crowds, found.image_size)),
    )


def _annotated(annotations: Sequence[dict[str, Any]], size: tuple[int, int]) -> Instances:
    """Return annotations in the form of predictions without scores."""
    if not annotations:
        return Instances(size, pred_classes=torch.zeros(0, dtype=torch.int64), pred_rles=[])
    truth = true_objects(annotations, size)
    rles = predicted_rles(Instances(size, pred_masks=truth.gt_masks.tensor))
    return Instances(size, pred_classes=truth.gt_classes, pred_rles=rles)


def _same_class(found: Instances, truth: Instances) -> np.ndarray:
    """Return (P, T) bool."""
    return (found.pred_classes[:, None] == truth.pred_classes).numpy()


def _in_crowd(found: Instances, crowds: Instances) -> np.ndarray:
    """Return (P,) bool, whether half of a prediction lies in a crowd region of its class."""
    if not len(crowds) or not len(found):
        return np.zeros(len(found), dtype=bool)
    shares = mask_util.iou(found.pred_rles, crowds.pred_rles, [1] * len(crowds))
    return ((shares >= 0.5) & _same_class(found, crowds)).any(axis=1)


def _best_threshold(seen: Sequence[_Seen]) -> float:
    scores, hits = [], []
    for image in seen:
        matches = _match(image)
        # Those that a crowd excuses are no mistakes.
        counted = (matches >= 0) | ~image.in_crowd
        scores.append(image.found.scores.numpy()[counted])
        hits.append(matches[counted] >= 0)
    objects = sum(len(image.truth) for image in seen)
    best = best_f1(np.concatenate(scores), np.concatenate(hits), objects).threshold
    return THRESHOLD if math.isnan(best) else best


def _match(image: _Seen) -> np.ndarray:
    """Return which object each prediction of any score finds, (P,)."""
    found, truth = image.found, image.truth
    ious = np.zeros((len(found), len(truth)))
    if ious.size:
        ious = mask_util.iou(found.pred_rles, truth.pred_rles, [0] * len(truth))
    return match(ious, found.scores.numpy(), _same_class(found, truth))


def _judge(image: _Seen, threshold: float) -> ImageResult:
    found = select_confident(image.found, threshold)
    overlaps = _overlaps(found.pred_rles, image.truth.pred_rles)
    verdict = classify(
        overlaps,
        scores=found.scores.numpy(),
        same_class=_same_class(found, image.truth),
        in_crowd=image.in_crowd[(image.found.scores >= threshold).numpy()],
    )
    return ImageResult(
        file_name=image.file_name,
        truth=image.truth,
        found=found,
        verdict=verdict,
        score=image_score(overlaps.ious, verdict.matches),
    )


def _overlaps(predictions: list[RLE], objects: list[RLE]) -> Overlaps:
    number, rles = len(predictions), [*predictions, *objects]
    if not rles:
        nothing = np.zeros((0, 0))
        return Overlaps(shared=nothing, predictions=nothing, objects=nothing)
    # One by one: more than 255 at a time overflow in pycocotools with NumPy 2.
    areas = np.array([int(mask_util.area(rle)) for rle in rles])
    # By the rule for crowds it is the share of a mask, the row, that lies in another, the column.
    shared = np.rint(mask_util.iou(rles, rles, [1] * len(rles)) * areas[:, None])
    return Overlaps(
        shared=shared[:number, number:],
        predictions=shared[:number, :number],
        objects=shared[number:, number:],
    )
