"""Which tasks of COCO a data set is evaluated by: those of masks and boxes, or boxes alone where it has no masks."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.architectures import BBOX, SEGM
from solo.data import load_records
from solo.data.formats.coco_json import load_coco
from solo.data.kept_records import keep_records
from solo.errors import UserError

logger = logging.getLogger(__name__)


def tasks_by_type(dataset_name: str, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the tasks that a model solves the evaluator of a data set measures; see `build_evaluator`."""
    kind = MetadataCatalog.get(dataset_name).get("evaluator_type", "coco")
    if kind == "cityscapes_instance" and SEGM in tasks:
        return tuple(task for task in tasks if task != BBOX)
    return tasks


def evaluated_tasks(dataset_name: str, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return by which of the tasks that a model solves it is evaluated on a registered data set.

    A data set that cannot be read is told by those who evaluate on it.
    """
    if (by_type := tasks_by_type(dataset_name, tasks)) != tasks:
        return by_type
    with suppress(OSError, UserError):
        if SEGM in tasks:
            keep_records(dataset_name)
            if boxes_only(load_records(dataset_name)):
                return tuple(task for task in tasks if task == BBOX)
    return tasks


def boxes_alone(dataset_name: str, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tasks without those of masks, for objects without masks, and say so once.

    Raises:
        UserError: If only masks are asked for.
    """
    if set(tasks) == {BBOX}:
        return tasks
    if BBOX not in tasks:
        raise UserError(
            f"{dataset_name} has boxes only, so that masks cannot be evaluated: annotate some, or "
            "evaluate boxes"
        )
    _tell(dataset_name)
    return (BBOX,)


@lru_cache  # in a run an evaluator is built several times
def _tell(dataset_name: str) -> None:
    logger.warning("%s has no masks: only boxes are evaluated", dataset_name)


def boxes_only(records: Sequence[dict[str, Any]]) -> bool:
    """Return whether there are objects in records, and none of them has a mask; crowds are none."""
    objects = [
        item
        for record in records
        for item in record.get("annotations", ())
        if not item.get("iscrowd", 0)
    ]
    return bool(objects) and not any(map(_has_mask, objects))


def _has_mask(item: dict[str, Any]) -> bool:
    mask = item.get("segmentation")
    return mask is not None and len(mask) > 0


def records_of(name: str) -> list[dict[str, Any]]:
    """Return the records of a data set, also of one of detectron2's metadata alone.

    Raises:
        OSError: If a file cannot be read.
        UserError: If it cannot be loaded.
    """
    if name in DatasetCatalog:
        return load_records(name)
    metadata = MetadataCatalog.get(name)  # of a file that nobody registered
    return load_coco(metadata.json_file, metadata.get("image_root", ""), name)
