"""Images of a data set with their ground truth and a model's prediction, for `prediction_sheet`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from detectron2.data import detection_utils
from detectron2.structures import Instances

from solo.errors import UserError
from solo.images import read_picture
from solo.inference.datasets import spread_evenly
from solo.visualization.sheet import SheetRow


def dataset_rows(
    dataset: Sequence[dict[str, Any]],
    predict: Callable[[np.ndarray], Instances],
    num_images: int,
) -> list[SheetRow]:
    """Predict on images spread evenly over a data set.

    Args:
        dataset: detectron2's dicts: file_name and, where there is ground truth, annotations.
        predict: Takes an (H, W, 3) uint8 BGR image and returns its instances, on the CPU.
        num_images: Images to take at most.

    Returns:
        One row per image.

    Raises:
        UserError: The data set is empty, fewer than one image is asked for, or one cannot be read.
    """
    if num_images < 1 or not dataset:
        raise UserError(
            f"Cannot take {num_images} images of a data set of {len(dataset)}: ask for at least "
            "one, of a data set that has any."
        )
    rows = []
    for record in spread_evenly(dataset, num_images):
        image = read_picture(record["file_name"])
        rows.append(SheetRow(image, _truth(record, image.shape), predict(image)))
    return rows


def _truth(record: dict[str, Any], shape: tuple[int, ...]) -> Instances:
    # A crowd region is not one instance: it is neither learnt nor expected.
    annotations = [a for a in record.get("annotations", ()) if not a.get("iscrowd", 0)]
    size = (shape[0], shape[1])
    truth = detection_utils.annotations_to_instances(annotations, size, mask_format="bitmask")
    if not truth.has("gt_masks"):
        truth.gt_masks = np.zeros((0, *size), dtype=bool)
    return truth
