"""A trained model on held-out images: AP, precision-recall curves, and what became of each object.

Legend: T IoU thresholds of COCO, R recalls, K classes; P predictions and T objects of one image.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from solo.architectures import BBOX, SEGM
from solo.errors import UserError
from solo.evaluation.coco import COCOEvaluator, predicted_rles
from solo.evaluation.compared import Shapes, same_class, shapes_of
from solo.evaluation.loop import run_evaluation
from solo.images import MAX_PIXELS
from solo.inference import Predictor
from solo.inference.datasets import ReadOneByOne, choose_records
from solo.report.looked_at import LookedAt, look_at, true_annotations
from solo.report.matching import Overlaps, image_score
from solo.report.speed import Speed, speed_of
from solo.report.thresholds import OverThreshold, over_threshold, pool
from solo.report.verdicts import Verdict, classify
from solo.structures.instances import THRESHOLD, select_confident
from solo.structures.run_lengths import RLE


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageResult:
    """What a model found in one image, from the score threshold on, one prediction per object.

    Attributes:
        file_name: Of the image.
        truth: The objects, with pred_classes, and pred_rles or pred_boxes; crowds are none.
        found: The predictions, with pred_classes, pred_rles or pred_boxes, and scores.
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
        over_threshold: What is shown and right from each score on.
        threshold: Score from which on predictions are classified: that of the best F1.
        class_thresholds: Per class the score of its best F1; nan where nothing is found.
        images: Those looked at.
        second_labels: Predictions of that score that are left out, as others are of the same object. AP and
            precisions are of all predictions.
        speed: None where there were too few images.
    """

    dataset: str
    class_names: list[str]
    num_records: int
    tables: dict[str, dict[str, float]]
    precisions: dict[str, np.ndarray]
    over_threshold: OverThreshold
    threshold: float
    class_thresholds: list[float]
    images: list[ImageResult]
    second_labels: int
    speed: Speed | None


def judged_task(tables: Mapping[str, object]) -> str:
    """Return by which of the tasks of some tables predictions are judged: "segm" if there are masks, else "bbox"."""
    return SEGM if SEGM in tables else BBOX


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


def examine(predictor: Predictor, dataset: str, num_images: int | None = None) -> HeldOut:
    """Run a model on a data set, by COCO's rules whatever the data set's own evaluator is.

    Of the images only run lengths are kept.

    Args:
        predictor: With the classes of the data set, in its order.
        dataset: As registered with detectron2, with masks or boxes.
        num_images: Look at so many images, spread evenly. None: at all.

    Raises:
        UserError: There is no such data set, some of its objects have no masks, other classes than the model, or no object in an
            image that can be read.
        OSError: A file cannot be read.
    """
    chosen = choose_records(predictor, dataset, num_images)
    _check_any(map(true_annotations, chosen), f"{len(chosen)} images of {dataset}")
    evaluator = _CurveEvaluator(dataset, getattr(predictor, "tasks", None), distributed=False)
    look = _Look(predictor)
    some = None if num_images is None else [record["image_id"] for record in chosen]
    # Whatever finds instances may stand here, also without a limit of its own.
    batches = ReadOneByOne(chosen, getattr(predictor, "max_pixels", MAX_PIXELS))
    tables = run_evaluation(look, batches, evaluator, name=dataset, image_ids=some)
    readable = f"{len(look.images)} images of {dataset} that can be read"
    _check_any((image.truth for image in look.images), readable)
    names = list(MetadataCatalog.get(dataset).thing_classes)
    pooled = pool(look.images)
    curves = [over_threshold(pooled.of_class(category)) for category in range(len(names))]
    curve = over_threshold(pooled)
    threshold = THRESHOLD if math.isnan(curve.best) else curve.best
    return HeldOut(
        dataset=dataset,
        class_names=names,
        num_records=len(DatasetCatalog.get(dataset)),
        tables=tables,
        precisions=evaluator.precisions,
        over_threshold=curve,
        threshold=threshold,
        class_thresholds=[one.best for one in curves],
        images=[_judge(image, threshold) for image in look.images],
        second_labels=sum(int((i.second_scores >= threshold).sum()) for i in look.images),
        speed=speed_of(look.seconds, [image.truth.image_size for image in look.images]),
    )


def _check_any(objects: Iterable[Sized], images: str) -> None:
    if not any(map(len, objects)):
        raise UserError(
            f"None of the {images} has an annotated object: there is nothing to compare with."
        )


class _Look:
    """Finds the instances of images for the loop of evaluation, and keeps what it saw and how long it took."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.images: list[LookedAt] = []
        self.seconds: list[float] = []

    def __call__(self, batch: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        return [{"instances": self._find(record)} for record in batch]

    def _find(self, record: dict[str, Any]) -> Instances:
        start = time.perf_counter()
        # Whatever finds instances may stand here; a predictor calls the confident ones alone.
        found = getattr(self._predictor, "raw", self._predictor)(record["image"])
        self.seconds.append(time.perf_counter() - start)
        found = _lean(found)
        self.images.append(look_at(record, found))
        return found


def _lean(found: Instances) -> Instances:
    # A mask of a large image is a thousand times its run lengths.
    names = ("pred_boxes", "scores", "pred_classes")
    kept = {name: found.get(name) for name in names if found.has(name)}
    if (rles := predicted_rles(found)) is not None:
        kept["pred_rles"] = rles
    return Instances(found.image_size, **kept)


def judge_image(record: dict[str, Any], found: Instances, threshold: float) -> ImageResult:
    """Return what became of the objects of an image, and of what was found in it from a score on."""
    return _judge(look_at(record, _lean(found)), threshold)


def _judge(image: LookedAt, threshold: float) -> ImageResult:
    found = select_confident(image.found, threshold)
    overlaps = _overlaps(*shapes_of(found, image.truth))
    verdict = classify(
        overlaps,
        scores=found.scores.numpy(),
        same_class=same_class(found, image.truth),
        in_crowd=image.in_crowd[(image.found.scores >= threshold).numpy()],
    )
    return ImageResult(
        file_name=image.file_name,
        truth=image.truth,
        found=found,
        verdict=verdict,
        score=image_score(overlaps.ious, verdict.matches),
    )


def _overlaps(predictions: Shapes, objects: Shapes) -> Overlaps:
    number = len(predictions)
    if not number and not len(objects):
        nothing = np.zeros((0, 0))
        return Overlaps(shared=nothing, predictions=nothing, objects=nothing)
    if isinstance(predictions, list):
        shared = _shared_pixels([*predictions, *objects])
    else:
        shared = _shared_areas(np.concatenate([predictions, np.asarray(objects)]))
    return Overlaps(
        shared=shared[:number, number:],
        predictions=shared[:number, :number],
        objects=shared[number:, number:],
    )


# By the rule for crowds it is the share of a shape, the row, that lies in another, the column.
def _shared_pixels(rles: list[RLE]) -> np.ndarray:
    # One by one: more than 255 at a time overflow in pycocotools with NumPy 2.
    areas = np.array([int(mask_util.area(rle)) for rle in rles])
    pixels: np.ndarray = np.rint(mask_util.iou(rles, rles, [1] * len(rles)) * areas[:, None])
    return pixels


def _shared_areas(boxes: np.ndarray) -> np.ndarray:
    shares = np.nan_to_num(mask_util.iou(boxes, boxes, [1] * len(boxes)))
    areas: np.ndarray = shares * boxes[:, 2:].prod(axis=1)[:, None]
    return areas
