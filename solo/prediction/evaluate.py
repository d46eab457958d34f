"""Evaluate a predictor on a data set: what runs it, and how, is its own affair."""

from collections import OrderedDict
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from torch.utils.data import Dataset
from tqdm import tqdm

from solo.config import get_cfg
from solo.data import SOLODatasetMapper, build_test_loader
from solo.evaluation import COCOEvaluator, build_evaluator
from solo.prediction.predictor import Predictor


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
        ValueError: The data set is not known, has other classes, or cannot be evaluated on.
    """
    items = _read_lazily(dataset_name)
    _check_classes(predictor, dataset_name)
    evaluator = build_evaluator(get_cfg(), dataset_name, output_dir)
    indices = range(len(items))
    if num_images is not None:
        indices = _spread(num_images, len(items), evaluator)
    evaluator.reset()
    image_ids = []
    for index in tqdm(indices, desc=dataset_name, unit=" images"):
        item = items[index]
        image_ids.append(item["image_id"])
        # The evaluators want the record, not the pixels.
        image = item.pop("image").permute(1, 2, 0).numpy()
        evaluator.process([item], [{"instances": predictor(image)}])
    if num_images is None:
        return evaluator.evaluate()
    return evaluator.evaluate(img_ids=image_ids)


def _read_lazily(dataset_name: str) -> Dataset[dict[str, Any]]:
    """Return the records, each with its image as (3, H, W) uint8 BGR, read when it is taken."""
    mapper = SOLODatasetMapper(is_train=False, augmentations=[], image_format="BGR")
    return build_test_loader(get_cfg(), dataset_name, mapper).dataset


def _check_classes(predictor: Predictor, dataset_name: str) -> None:
    given = len(predictor.category_ids)
    wanted = len(MetadataCatalog.get(dataset_name).thing_classes)
    if given != wanted:
        raise ValueError(
            f"The model has {given} classes, and the data set {dataset_name} has {wanted}: evaluate "
            "it on a data set with its own classes."
        )


def _spread(num_images: int, available: int, evaluator: DatasetEvaluator) -> list[int]:
    """Return the indices of so many images, at most all of them, evenly over a data set."""
    if num_images < 1:
        raise ValueError(f"Cannot evaluate on {num_images} images: ask for 1 at least.")
    if not isinstance(evaluator, COCOEvaluator):
        raise ValueError(
            "The evaluator of this data set counts the objects of all images: leave out the number "
            "of images."
        )
    count = min(num_images, available)
    return np.linspace(0, available - 1, count).round().astype(int).tolist()
