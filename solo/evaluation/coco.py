"""COCO's bbox, segm and boundary AP, on faster-coco-eval where it is installed, else on pycocotools."""

import contextlib
import copy
import io
import itertools
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any

import pycocotools.mask as mask_util
import torch
from detectron2 import evaluation
from detectron2.data import MetadataCatalog
from detectron2.evaluation.coco_evaluation import COCOevalMaxDets, instances_to_coco_json
from detectron2.structures import Instances
from detectron2.utils import comm
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from solo.architectures import BBOX, BOUNDARY, SEGM
from solo.errors import MissingPackageError, UserError
from solo.evaluation.boundary import compare_boundaries
from solo.evaluation.coco_truth import Truth, indexed
from solo.evaluation.tasks import boxes_alone
from solo.files import Spared, write_with
from solo.garbage import no_garbage_collection
from solo.structures.run_lengths import rles_of

try:
    from faster_coco_eval import COCO as FastCOCO  # noqa: N811  (a class, whatever its case)
    from faster_coco_eval import COCOeval_faster
except ImportError:
    FastCOCO = COCOeval_faster = None

logger = logging.getLogger(__name__)

_TASKS = (BBOX, SEGM, BOUNDARY)
# One pixel, not set.
_NO_MASK = {"size": [1, 1], "counts": "1"}


class COCOEvaluator(evaluation.COCOEvaluator):
    """Evaluate boxes and masks by COCO's rules, with detectron2's tables.

    Takes ``pred_masks`` as pixels or ``pred_rles``, and keeps RLE only. A data set without one
    prediction gets a table, too: its AP is 0.
    """

    def __init__(
        self,
        dataset_name: str,
        tasks: tuple[str, ...] | None = None,
        distributed: bool = True,
        output_dir: str | None = None,
        *,
        max_dets_per_image: int | None = None,
        use_fast_impl: bool | None = None,
    ) -> None:
        """Load the annotations.

        Args:
            dataset_name: As registered with detectron2.
            tasks: Of "bbox", "segm" and "boundary". None: the first two. Boxes alone where the data set has no masks.
            distributed: Whether to gather the predictions of all workers.
            output_dir: Folder for the predictions in COCO's format. None: they are not written.
            max_dets_per_image: Detections of an image, per class, that count. None: COCO's 100.
            use_fast_impl: Whether faster-coco-eval computes. None: if it is installed.

        Raises:
            UserError: If the annotations cannot be read, or some have no masks, or faster-coco-eval is asked for
                and missing.
            ValueError: If another task is asked for.
        """
        tasks = tuple(tasks or (BBOX, SEGM))
        if not set(tasks) <= set(_TASKS):
            raise ValueError(f"tasks must be of {_TASKS}, got {tasks}")
        if use_fast_impl and COCOeval_faster is None:
            raise MissingPackageError(
                "use_fast_impl needs faster-coco-eval: pip install faster-coco-eval"
            )
        # detectron2's constructor is left out: its reader stops at what hand-made files lack. These
        # are the names that its other methods know.
        self._logger = logger
        self._distributed = distributed
        self._output_dir = output_dir
        self._max_dets_per_image = [1, 10, max_dets_per_image or 100]
        self._metadata = MetadataCatalog.get(dataset_name)
        self._truth = Truth(dataset_name, needs_masks=set(tasks) != {BBOX})
        self._tasks = boxes_alone(dataset_name, tasks) if self._truth.boxes_only else tasks
        self._fast = use_fast_impl if use_fast_impl is not None else COCOeval_faster is not None
        if use_fast_impl is None and not self._fast:
            logger.info("faster-coco-eval is not installed: pycocotools evaluates, more slowly")

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep the predictions of some images.

        Args:
            inputs: Of the model, with ``image_id``.
            outputs: Of the model, with ``instances``: pred_boxes (XYXY, pixels of the original
                image), scores, pred_classes, and pred_masks (n, H, W) bool or pred_rles.
        """
        for item, output in zip(inputs, outputs, strict=True):
            results = instances_to_results(output["instances"], item["image_id"])
            self._predictions.append({"image_id": item["image_id"], "instances": results})

    def evaluate(
        self, img_ids: Collection[Any] | None = None
    ) -> OrderedDict[str, dict[str, float]]:
        """Return the tables on the main worker, `{"segm": {"AP": ...}, ...}`; elsewhere nothing.

        Predictions that cannot be written, as on a full disk, are told: they are evaluated nevertheless.

        Args:
            img_ids: Only these images count, by the data set's own ids. None: all.

        Raises:
            UserError: If they are of images or classes that the data set does not have.
        """
        self._results: OrderedDict[str, dict[str, float]] = OrderedDict()
        predictions = self._predictions
        if self._distributed:
            comm.synchronize()
            predictions = list(itertools.chain(*comm.gather(predictions, dst=0)))
        if not comm.is_main_process():
            return self._results
        if not predictions:
            logger.warning("there are no predictions: no image was evaluated")
            return self._results
        self._write("instances_predictions.pth", lambda file: torch.save(predictions, file))
        self._evaluate_all(predictions, img_ids)
        return copy.deepcopy(self._results)

    def _write(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        if self._output_dir:
            path = Path(self._output_dir, name)
            with Spared(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_with(write, path)

    def _evaluate_all(
        self, predictions: list[dict[str, Any]], img_ids: Collection[Any] | None
    ) -> None:
        results = list(itertools.chain.from_iterable(item["instances"] for item in predictions))
        numbered = self._numbered(results)
        self._write(
            "coco_instances_results.json",
            lambda file: file.write(json.dumps(self._with_ids_of_the_file(results)).encode()),
        )
        if not self._truth.annotated:
            logger.info("the annotation file has no annotations: nothing to evaluate against")
            return
        if not results:
            logger.warning(
                "the model predicted no instance in %d images: every AP is 0. After a short "
                "training, try a lower TEST.SCORE_THRESH of the model",
                len(predictions),
            )
        numbers = None if img_ids is None else [self._truth.numbers[number] for number in img_ids]
        for task in self._tasks:
            evaluated = self._evaluate_task(numbered, task, numbers)
            self._results[task] = self._derive_coco_results(
                evaluated, task, class_names=self._metadata.get("thing_classes")
            )

    def _derive_coco_results(
        self, coco_eval: Any, iou_type: str, class_names: list[str] | None = None
    ) -> dict[str, float]:
        """Return the table of a task; of boundaries, which detectron2 does not know, as of masks."""
        self._logger.info("The next tables are of the task %s.", iou_type)
        known = SEGM if iou_type == BOUNDARY else iou_type
        return super()._derive_coco_results(coco_eval, known, class_names)

    def _numbered(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return results with the numbers of the truth in place of ids."""
        numbers, classes = self._truth.numbers, len(self._truth.api.cats)
        for result in results:
            if result["image_id"] not in numbers:
                raise UserError(
                    f"the model predicted instances of image {result['image_id']}, which the data set "
                    "does not have: evaluate on the images of this data set"
                )
            if result["category_id"] >= classes:
                raise UserError(
                    f"the model predicted class {result['category_id']}, but the data set has "
                    f"{classes} classes, from 0: NUM_CLASSES of the model must be {classes}"
                )
        return [
            {**r, "image_id": numbers[r["image_id"]], "category_id": r["category_id"] + 1}
            for r in results
        ]

    def _with_ids_of_the_file(self, results: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return results with the data set's own category ids, where it has any."""
        mapping = self._metadata.get("thing_dataset_id_to_contiguous_id") or {}
        ids = {channel: number for number, channel in mapping.items()}
        return [{**r, "category_id": ids.get(r["category_id"], r["category_id"])} for r in results]

    def _evaluate_task(
        self, results: list[dict[str, Any]], task: str, numbers: list[int] | None
    ) -> Any:
        """Return the COCOeval of one task, with its statistics computed."""
        # Both backends sort the limits, so that the middle one must not exceed ours.
        limit = self._max_dets_per_image[-1]
        max_dets = [1, min(10, limit), limit]
        shapes = BBOX if task == BBOX else SEGM
        # Both backends tell of their progress on standard output.
        with no_garbage_collection(), contextlib.redirect_stdout(io.StringIO()) as text:
            # Copies: both backends write into the dicts they are given.
            dataset = self._truth.api.dataset
            truths = [dict(item) for item in dataset["annotations"]]
            annotations = {**dataset, "annotations": truths}
            detections = {**annotations, "annotations": _detections(results, truths, task)}
            backend = FastCOCO if self._fast else COCO
            truth, found = indexed(backend(), annotations), indexed(backend(), detections)
            if self._fast:
                evaluated = COCOeval_faster(truth, found, shapes, print_function=print)
                evaluated.extra_calc = False
                # Pairs of masks are too quick for its threads, which wait for each other.
                evaluated.rle_iou_max_workers = 1
            else:
                # pycocotools summarises at 100 detections whatever the limit is.
                plain = limit == 100
                evaluated = (COCOeval if plain else COCOevalMaxDets)(truth, found, shapes)
            evaluated.params.maxDets = max_dets
            if numbers is not None:
                evaluated.params.imgIds = numbers
            if task == BOUNDARY:
                compare_boundaries(evaluated, self._truth.boundaries)
            evaluated.evaluate()
            evaluated.accumulate()
            evaluated.summarize()
        logger.info("%s by COCO's rules:\n%s", task, text.getvalue().rstrip())
        return evaluated


def instances_to_results(instances: Instances, image_id: int) -> list[dict[str, Any]]:
    """Return the detections of an image in COCO's result format.

    Args:
        instances: Of the model, on any device, with pred_boxes, scores, pred_classes and, unless
            only boxes are evaluated, pred_masks (n, H, W) bool or pred_rles.
        image_id: Of the data set.

    Returns:
        One dict per detection, with category_id still the model's class index.
    """
    rles = predicted_rles(instances)
    kept = {name: instances.get(name) for name in ("pred_boxes", "scores", "pred_classes")}
    results = instances_to_coco_json(Instances(instances.image_size, **kept).to("cpu"), image_id)
    if rles is not None:
        for result, rle in zip(results, rles, strict=True):
            result["segmentation"] = rle
    return results


def predicted_rles(instances: Instances) -> list[dict[str, Any]] | None:
    """Return the masks of detections as RLE dicts with ``counts`` as text.

    Args:
        instances: With pred_masks (n, H, W) bool, on any device, or pred_rles.

    Returns:
        One per detection; None if there are no masks.
    """
    if not (instances.has("pred_rles") or instances.has("pred_masks")):
        return None
    return [_as_json(rle) for rle in rles_of(instances)]


def _as_json(rle: dict[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [int(side) for side in rle["size"]], "counts": text}


def _detections(
    results: list[dict[str, Any]], truths: list[dict[str, Any]], task: str
) -> list[dict[str, Any]]:
    """Return what the backends' loadRes makes of results, at a fraction of its cost."""
    present = {(truth["image_id"], truth["category_id"]) for truth in truths}
    detections = []
    for number, result in enumerate(results, 1):
        kept = {key: result[key] for key in ("image_id", "category_id", "score")}
        detection = {"id": number, "iscrowd": 0, **kept}
        if task == BBOX:
            detection["bbox"] = box = result["bbox"]
            detection["area"] = box[2] * box[3]
        else:
            rle = result["segmentation"]
            # Without their boxes masks are small, medium or large by their own area.
            detection["area"] = int(mask_util.area(rle))
            # Where the image has no such object there is nothing to compare with: the mask is not decoded.
            compared = (result["image_id"], result["category_id"]) in present
            detection["segmentation"] = rle if compared else _NO_MASK
        detections.append(detection)
    return detections
