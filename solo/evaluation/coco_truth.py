"""The objects of a data set as COCO's rules read them, whatever its file leaves out."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pycocotools.mask as mask_util
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.coco import convert_to_coco_dict
from detectron2.utils.file_io import PathManager
from pycocotools.coco import COCO

from solo.errors import UserError, told_as


def load_ground_truth(dataset_name: str, *, needs_masks: bool) -> COCO:
    """Return the annotations of a data set: of its file, or of its records where it has none.

    Args:
        dataset_name: As registered with detectron2.
        needs_masks: Whether to refuse objects without one.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no json, or an object lacks its mask.
    """
    json_file = MetadataCatalog.get(dataset_name).get("json_file")
    if json_file is None:
        document = convert_to_coco_dict(dataset_name)
    else:
        if "://" not in json_file and not Path(json_file).exists():
            DatasetCatalog.get(dataset_name)  # some write their file when they are loaded
        with PathManager.open(json_file) as file, told_as(f"{json_file} is no json"):
            document = json.load(file)
    if needs_masks:
        for item in document.get("annotations", ()):
            if not item.get("segmentation"):
                raise UserError(
                    f"{json_file or dataset_name}: an annotation of image {item['image_id']} has no "
                    "segmentation, so that masks cannot be evaluated: add its mask, or remove it"
                )
    return _complete(document)


def _complete(document: dict[str, Any]) -> COCO:
    """Add what COCO's rules read, and hand-made files often leave out, in place."""
    for image in document["images"]:
        image["height"], image["width"] = int(image["height"]), int(image["width"])
    annotations = document.get("annotations", ())
    # COCO's matching takes an annotation with the id 0 for none.
    if not all(item.get("id") for item in annotations):
        for number, item in enumerate(annotations, 1):
            item["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        api = indexed(COCO(), document)
    for item in annotations:
        item.setdefault("iscrowd", 0)
        if "area" in item and "bbox" in item:
            continue
        rle = api.annToRLE(item)
        item.setdefault("area", float(mask_util.area(rle)))
        item.setdefault("bbox", mask_util.toBbox(rle).tolist())
    return api


def indexed(api: Any, dataset: dict[str, Any]) -> Any:
    """Fill an empty COCO object, of either backend, with a document."""
    api.dataset = dataset
    api.createIndex()
    return api
