"""Images of a data set with their ground truth and a model's prediction, for `prediction_sheet`."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from detectron2.structures import Instances

from solo.errors import UserError
from solo.images import MAX_PIXELS, UnreadableImageError, WrongSizeError
from solo.inference.datasets import read_bgr, spread_evenly
from solo.report.held_out import judge_image
from solo.report.looked_at import true_annotations
from solo.report.true_objects import have_masks, true_objects
from solo.report.verdict_marks import marks_of
from solo.structures.instances import are_boxes
from solo.visualization.sheet import SheetRow

logger = logging.getLogger(__name__)


def dataset_rows(
    dataset: Sequence[dict[str, Any]],
    predict: Callable[[np.ndarray], Instances],
    num_images: int,
    max_pixels: int = MAX_PIXELS,
    threshold: float | None = None,
) -> list[SheetRow]:
    """Predict on images spread evenly over a data set; those that cannot be read are left out.

    Args:
        dataset: detectron2's dicts: file_name and, where there is ground truth, annotations.
        predict: Takes an (H, W, 3) uint8 BGR image and returns its instances, on the CPU.
        num_images: Images to take at most.
        max_pixels: Of an image.
        threshold: Predictions from this score on are kept, and marked where there is ground truth. None: all
            are kept, without marks.

    Returns:
        One row per image.

    Raises:
        UserError: The data set is empty, fewer than one image is asked for, or none can be read.
    """
    if num_images < 1 or not dataset:
        raise UserError(
            f"Cannot take {num_images} images of a data set of {len(dataset)}: ask for at least "
            "one, of a data set that has any."
        )
    rows, problems = [], []
    for record in spread_evenly(dataset, num_images):
        try:
            image = read_bgr(record, max_pixels)
        except (UnreadableImageError, WrongSizeError) as error:
            logger.warning("left out an image: %s", error)
            problems.append(error)
            continue
        # A crowd region is not one instance: it is neither learnt nor expected.
        found, marks, objects = predict(image), None, true_annotations(record)
        with_masks = not are_boxes(found) and have_masks(objects)
        truth = true_objects(objects, (image.shape[0], image.shape[1]), with_masks=with_masks)
        if threshold is not None and "annotations" in record:
            result = judge_image(record, found, threshold)
            found, marks = result.found, marks_of(result.verdict)
        rows.append(SheetRow(image, truth, found, marks))
    if not rows:
        raise problems[0]
    return rows
