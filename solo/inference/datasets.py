"""The tables of data sets: for a model, those of DATASETS.TEST; for a predictor, one by its name."""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator, print_csv_format
from detectron2.structures import Instances
from detectron2.utils import comm
from torch import nn

from solo.architectures import SEGM, tasks_of, with_boundary
from solo.data import SOLODatasetMapper, build_test_loader, load_records
from solo.errors import UserError
from solo.evaluation import COCOEvaluator, build_evaluator
from solo.evaluation.left_out import OrReason, look_ahead
from solo.evaluation.loop import Batches, run_evaluation
from solo.evaluation.tasks import evaluated_tasks, tasks_by_type
from solo.images import MAX_PIXELS
from solo.inference.class_order import ClassOrder, go_by_number
from solo.inference.fallback import WithCPUFallback, memory_advice
from solo.inference.predictor import Predictor
from solo.inference.tta import SOLOWithTTA
from solo.modeling.precision import inference_precision
from solo.reached import best_metric

logger = logging.getLogger(__name__)
# What evaluators leave in their folder, but for those that compare files of their own.
PREDICTIONS = "coco_instances_results.json"


class OpenDataset(NamedTuple):
    """A data set that was read, and what compares results with it."""

    name: str  # as registered with detectron2
    batches: Batches  # the inputs of this process, prepared as the config says
    evaluator: DatasetEvaluator  # of all processes together


def prepare_evaluation(cfg: CfgNode, model: nn.Module) -> list[OpenDataset]:
    """Read the data sets of DATASETS.TEST; raise now what :func:`evaluate` would raise in hours.

    Args:
        cfg: The config.
        model: See :func:`evaluate`.

    Returns:
        What that takes, as often as it is called.

    Raises:
        OSError: If a file cannot be read.
        UserError: If a data set is unknown, or cannot be evaluated on, or the views make no sense.
    """
    if cfg.TEST.AUG.ENABLED:
        SOLOWithTTA(cfg, model)
    datasets = list(_open_datasets(cfg))
    for name in cfg.DATASETS.TEST:
        look_ahead(name, load_records(name), cfg.INPUT.MAX_PIXELS)
    return datasets


def _open_datasets(cfg: CfgNode) -> Iterator[OpenDataset]:
    for name in cfg.DATASETS.TEST:
        loader = build_test_loader(cfg, name, OrReason(SOLODatasetMapper(cfg, False)))
        folder = Path(cfg.OUTPUT_DIR, "inference", name)
        yield OpenDataset(name, loader, build_evaluator(name, str(folder), tasks_of(cfg)))


def evaluate(
    cfg: CfgNode, model: nn.Module, datasets: Iterable[OpenDataset] | None = None
) -> OrderedDict[str, Any]:
    """Evaluate a model on every data set of DATASETS.TEST, and log the tables.

    Every process has to call it; each takes its share of the images.

    Args:
        cfg: The config.
        model: Not wrapped: a ``DistributedDataParallel`` would wait for processes that have fewer
            images.
        datasets: Of :func:`prepare_evaluation`. None: they are read, one after the other.

    Returns:
        On the main process ``{task: {metric: value}}`` if there is one data set, and
        ``{data set: {task: {metric: value}}}`` if there are several; elsewhere empty.
    """
    results: OrderedDict[str, Any] = OrderedDict()
    find = WithCPUFallback(model, memory_advice(cfg))
    for name, batches, evaluator in _open_datasets(cfg) if datasets is None else datasets:
        with inference_precision(cfg):
            result = run_evaluation(find, batches, evaluator, name=name)
        # What was found is not kept until the next time.
        evaluator.reset()
        if comm.is_main_process():
            logger.info("Evaluation results for %s:", name)
            print_csv_format(result)
            results[name] = result
    if len(results) == 1:
        return OrderedDict(next(iter(results.values())))
    return results


def evaluate_with_tta(cfg: CfgNode, model: nn.Module) -> OrderedDict[str, Any]:
    """Evaluate a model with test-time augmentation on every data set of DATASETS.TEST.

    Args:
        cfg: The config, with the views in TEST.AUG. Files go to the folder TTA of OUTPUT_DIR.
        model: See :func:`evaluate`.

    Returns:
        What that returns, under names that end with _TTA, as in detectron2.
    """
    cfg = cfg.clone()
    cfg.defrost()
    # Views are resized from the image itself, not from what a test without them would see.
    cfg.INPUT.MIN_SIZE_TEST = 0
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, "TTA"))
    logger.info("Evaluating with test-time augmentation.")
    results = evaluate(cfg, SOLOWithTTA(cfg, model))
    return OrderedDict((f"{name}_TTA", result) for name, result in results.items())


def best_metric_name(cfg: CfgNode) -> str:
    """Return the name under which training records the AP that chooses the best checkpoint.

    That is TEST.BEST_METRIC, else of masks where the model predicts them, and the first of DATASETS.TEST has them, else
    of boxes.

    Raises:
        UserError: If the evaluator of that data set does not give it.
    """
    name, solved = cfg.DATASETS.TEST[0], tasks_of(cfg)
    given, chosen = tasks_by_type(name, solved), cfg.TEST.BEST_METRIC.partition("/")[0]
    if chosen in solved and chosen not in given:
        raise UserError(
            f"TEST.BEST_METRIC is {cfg.TEST.BEST_METRIC!r}, but {name} is evaluated by {' and '.join(given)}: choose "
            "one of these, or leave it empty."
        )
    tasks = evaluated_tasks(name, solved)
    return best_metric(cfg.DATASETS.TEST, tasks, cfg.TEST.BEST_METRIC)


def evaluate_predictor(
    predictor: Predictor,
    dataset_name: str,
    *,
    output_dir: str | None = None,
    num_images: int | None = None,
    boundary: bool = False,
) -> OrderedDict[str, Any]:
    """Evaluate a predictor on a data set; the evaluators log their tables.

    Args:
        predictor: Its classes may be in another order than those of the data set, and some may have no
            objects there; see `ClassOrder`.
        dataset_name: As registered with detectron2.
        output_dir: Folder for the predictions in COCO's format. None: they are not written.
        num_images: So many images, spread evenly over the data set, and the objects of these. None:
            all.
        boundary: Whether boundaries are compared, too, also where TEST.BOUNDARY_AP of the model is off.

    Returns:
        ``{task: {metric: value}}``, in percent.

    Raises:
        OSError: A file cannot be read or written.
        UserError: The data set is not known, has objects of other classes, or cannot be evaluated on, or
            boundaries are asked for of a model of boxes alone.
    """
    if boundary and SEGM not in predictor.tasks:
        raise UserError(
            "Boundary AP is of masks, and this model finds boxes alone: leave out --boundary."
        )
    tasks = with_boundary(predictor.tasks) if boundary else predictor.tasks
    records = load_records(dataset_name)
    order = class_order(predictor, dataset_name, records)
    records = _some(records, num_images)
    evaluator = build_evaluator(dataset_name, output_dir, tasks)
    if num_images is not None and not isinstance(evaluator, COCOEvaluator):
        raise UserError(
            "The evaluator of this data set counts the objects of all images: leave out the number "
            "of images."
        )

    def find(batch: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        return [{"instances": order(predictor.raw(item["image"]))} for item in batch]

    image_ids = None if num_images is None else [record["image_id"] for record in records]
    batches = ReadOneByOne(records, predictor.max_pixels)
    return run_evaluation(find, batches, evaluator, name=dataset_name, image_ids=image_ids)


def class_order(predictor: Predictor, name: str, records: Sequence[dict[str, Any]]) -> ClassOrder:
    """Compare the classes of a predictor with those of a registered data set, of which these are the records."""
    names = tuple(MetadataCatalog.get(name).thing_classes)
    return ClassOrder(predictor.class_names, len(predictor.category_ids), names, records, name)


class ReadOneByOne:
    """Batches of one image each, read when it is its turn, for what takes pictures."""

    def __init__(self, records: Sequence[dict[str, Any]], max_pixels: int = MAX_PIXELS) -> None:
        """Take records, and how many pixels an image may have.

        The items are the records, with `image`, (H, W, 3) uint8 BGR, or without, for `LeftOut`.
        """
        self._records = records
        self._read = OrReason(lambda record: {**record, "image": read_bgr(record, max_pixels)})

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._records)

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """Read one image after the other."""
        return ([self._read(record)] for record in self._records)


def choose_records(
    predictor: Predictor, dataset_name: str, num_images: int | None = None
) -> list[dict[str, Any]]:
    """Return the records of a data set that a predictor is to be tried on.

    Args:
        predictor: With the classes of the data set, in its order.
        dataset_name: As registered with detectron2.
        num_images: So many, at most all, spread evenly over the data set. None: all.

    Raises:
        OSError: A file of the data set cannot be read.
        UserError: The data set is not known or has other classes or another order of them, or the number is below 1.
    """
    records = load_records(dataset_name)
    names, known = tuple(MetadataCatalog.get(dataset_name).thing_classes), predictor.class_names
    given = len(predictor.category_ids)
    if given != len(names):
        raise UserError(
            f"The model has {given} classes, and the data set {dataset_name} has {len(names)}: "
            "evaluate it on a data set with its own classes."
        )
    if not go_by_number(known, given, names):
        raise UserError(
            f"The classes of the model, {', '.join(known)}, are in another order than those of the "
            f"data set {dataset_name}, {', '.join(names)}: scores would be those of wrong classes."
        )
    return _some(records, num_images)


def _some(records: list[dict[str, Any]], num_images: int | None) -> list[dict[str, Any]]:
    if num_images is None:
        return records
    if num_images < 1:
        raise UserError(f"Cannot evaluate on {num_images} images: ask for 1 at least.")
    return spread_evenly(records, num_images)


def spread_evenly(records: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return so many records, at most all, spread evenly over them."""
    indices = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return [records[index] for index in indices]


def read_bgr(record: dict[str, Any], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the image of a record, (H, W, 3) uint8, the right way up.

    Raises:
        UnreadableImageError: It cannot be read, or has more pixels than these.
        WrongSizeError: It has another size than the record says.
    """
    image = _mapper(max_pixels)(record)["image"]
    return image.permute(1, 2, 0).contiguous().numpy()


@lru_cache(maxsize=1)
def _mapper(max_pixels: int) -> SOLODatasetMapper:
    return SOLODatasetMapper(
        is_train=False, augmentations=[], image_format="BGR", max_pixels=max_pixels
    )
