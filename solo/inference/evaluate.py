"""Evaluate a predictor on a data set: what runs it, and how, is its own affair."""

from collections import OrderedDict
from functools import lru_cache
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from tqdm import tqdm

from solo.config import get_cfg
from solo.data import SOLODatasetMapper, load_records
from solo.errors import UserError
from solo.evaluation import COCOEvaluator, build_evaluator
from solo.inference.predictor import Predictor


def evaluate(
    predictor: Predictor,
    dataset_name: str,
    *,
    output_dir: str | None = None,
    num_images: int | None = None,
) -> OrderedDict[str, Any]:
    """Evaluate a predictor on a data set; the evaluators log their tables.

    Args:
        predictor: With the classes of the data set, in its order.
        dataset_name: As registered with detectron2.
        output_dir: Folder for the predictions in COCO's format. None: they are not written.
        num_images: So many images, spread evenly over the data set, and the objects of these. None:
            all.

    Returns:
        ``{task: {metric: value}}``, in percent.

    Raises:
        OSError: A file cannot be read or written.
        UserError: The data set is not known, has other classes, or cannot be evaluated on.
    """
    records = choose_records(predictor, dataset_name, num_images)
    evaluator = build_evaluator(get_cfg(), dataset_name, output_dir)
    if num_images is not None and not isinstance(evaluator, COCOEvaluator):
        raise UserError(
            "The evaluator of this data set counts the objects of all images: leave out the number "
            "of images."
        )
    evaluator.reset()
    for record in tqdm(records, desc=dataset_name, unit=" images"):
        evaluator.process([record], [{"instances": predictor(read_bgr(record))}])
    if num_images is None:
        return evaluator.evaluate()
    return evaluator.evaluate(img_ids=[record["image_id"] for record in records])


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
    given = len(predictor.category_ids)
    wanted = len(MetadataCatalog.get(dataset_name).thing_classes)
    if given != wanted:
        raise UserError(
            f"The model has {given} classes, and the data set {dataset_name} has {wanted}: evaluate "
            "it on a data set with its own classes."
        )
    names, known = tuple(MetadataCatalog.get(dataset_name).thing_classes), predictor.class_names
    if known != names and sorted(known) == sorted(names):
        raise UserError(
            f"The classes of the model, {', '.join(known)}, are in another order than those of the "
            f"data set {dataset_name}, {', '.join(names)}: scores would be those of wrong classes."
        )
    if num_images is None:
        return records
    if num_images < 1:
        raise UserError(f"Cannot evaluate on {num_images} images: ask for 1 at least.")
    count = min(num_images, len(records))
    return [records[i] for i in np.linspace(0, len(records) - 1, count).round().astype(int)]


def read_bgr(record: dict[str, Any]) -> np.ndarray:
    """Return the image of a record, (H, W, 3) uint8, the right way up.

    Raises:
        UserError: It cannot be read, or has another size than the record says.
    """
    image = _mapper()(record)["image"]
    return image.permute(1, 2, 0).contiguous().numpy()


@lru_cache(maxsize=1)
def _mapper() -> SOLODatasetMapper:
    return SOLODatasetMapper(is_train=False, augmentations=[], image_format="BGR")
