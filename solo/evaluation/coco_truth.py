"""The objects of a data set as COCO's rules read them: those that were loaded, under numbers of our own."""

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pycocotools.mask as mask_util
from detectron2.data import MetadataCatalog
from detectron2.structures import BoxMode
from pycocotools.coco import COCO
from tqdm import tqdm

from solo.data.mask_forms import BrokenMaskError, read_mask
from solo.errors import UserError
from solo.evaluation.tasks import boxes_only, records_of
from solo.images import image_size
from solo.structures.polygons import draw_polygons
from solo.structures.run_lengths import RLE

logger = logging.getLogger(__name__)


class Truth:
    """What a data set holds to compare with.

    Attributes:
        api: COCO's objects: images, annotations and categories, each numbered from 1.
        numbers: From an image's own id to its number.
        annotated: Whether there is anything to compare with.
        boxes_only: Whether there are objects, and none of them has a mask.
        boundaries: Of objects by their numbers, those that were needed so far; see `compare_boundaries`.
    """

    def __init__(self, dataset_name: str, *, needs_masks: bool) -> None:
        """Take the records of a data set.

        Args:
            dataset_name: As registered with detectron2.
            needs_masks: Whether to refuse objects without one, unless all are; else masks are not looked at
                where there are boxes and areas.

        Raises:
            OSError: If a file cannot be read.
            UserError: If the data set cannot be loaded, or an object lacks its mask.
        """
        records = records_of(dataset_name)
        self.numbers = {record["image_id"]: n for n, record in enumerate(records, 1)}
        if len(self.numbers) < len(records):
            raise UserError(f"{dataset_name}: two of its images have the same image_id.")
        self.annotated = any("annotations" in record for record in records)
        self.boxes_only = boxes_only(records)
        self.boundaries: dict[int, RLE] = {}
        needs_masks = needs_masks and not self.boxes_only
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for record in tqdm(records, desc="objects", unit="image", disable=None, leave=False):
            size, number = _size(record), self.numbers[record["image_id"]]
            images.append({"id": number, "height": size[0], "width": size[1]})
            for item in _annotations(dataset_name, record, size, needs_masks):
                annotations.append({**item, "id": len(annotations) + 1, "image_id": number})
        last = max((item["category_id"] for item in annotations), default=0)
        names = MetadataCatalog.get(dataset_name).get("thing_classes") or range(last)
        if last > len(names):
            raise UserError(
                f"{dataset_name}: an object has the class {last - 1}, where thing_classes has "
                f"{len(names)}, from 0."
            )
        document = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": n, "name": name} for n, name in enumerate(names, 1)],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            self.api = indexed(COCO(), document)


def indexed(api: Any, dataset: dict[str, Any]) -> Any:
    """Fill an empty COCO object, of either backend, with a document."""
    api.dataset = dataset
    api.createIndex()
    return api


def _annotations(
    dataset: str, record: dict[str, Any], size: tuple[int, int], needs_masks: bool
) -> Iterator[dict[str, Any]]:
    """Yield what COCO's rules read of the annotations of an image of (H, W)."""
    for index, item in enumerate(record.get("annotations", ())):
        place = f"{dataset}: {record.get('file_name')}: annotation {item.get('id', index)}"
        crowd = int(item.get("iscrowd", 0))
        box = _box(item)
        is_whole = not needs_masks and box is not None and item.get("area") is not None
        try:
            mask = read_mask(None if is_whole else item.get("segmentation"), size)
        except BrokenMaskError as error:  # of records that were not read from a file
            logger.warning("%s is left out: %s", place, error)
            continue
        rle: RLE | None = draw_polygons(mask, size) if isinstance(mask, list) else mask
        if rle is None and crowd and box:
            rle = _filled(box, size)
        if rle is None and needs_masks and not crowd:
            raise UserError(
                f"{place} has no segmentation, so that masks cannot be evaluated: "
                "add its mask, or remove it"
            )
        if rle is None and box is None:
            continue
        box = box or mask_util.toBbox(rle).tolist()
        area = box[2] * box[3] if rle is None else float(mask_util.area(rle))
        if rle is not None and not area and not crowd:
            logger.warning("%s has no pixel: it counts as missed", place)
        area = area if item.get("area") is None else item["area"]
        truth = {
            "category_id": item["category_id"] + 1,
            "iscrowd": crowd,
            "bbox": box,
            "area": area,
        }
        yield truth if rle is None else {**truth, "segmentation": rle}


def _size(record: dict[str, Any]) -> tuple[int, int]:
    """Return (H, W) in pixels: of the record, or of the file where it has none."""
    if "height" in record and "width" in record:
        return record["height"], record["width"]
    return image_size(record["file_name"])


def _box(item: dict[str, Any]) -> list[float] | None:
    """Return [x, y, width, height]; None if the record has no box."""
    if item.get("bbox") is None:
        return None
    box = [float(number) for number in item["bbox"]]
    mode = item.get("bbox_mode", BoxMode.XYWH_ABS)
    return list(map(float, BoxMode.convert(box, mode, BoxMode.XYWH_ABS)))


def _filled(box: list[float], size: tuple[int, int]) -> RLE:
    """Return the pixels of a box as a mask."""
    left, top, width, height = box
    right, bottom = left + width, top + height
    return draw_polygons([np.array([left, top, right, top, right, bottom, left, bottom])], size)
