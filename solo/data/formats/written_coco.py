"""A document as COCO's json, complete for every tool: ids counted from 1, areas, boxes."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from detectron2.data import transforms as T
from tqdm import tqdm

from solo.data.document import Document
from solo.data.segmentations import moved_region
from solo.structures.region import Region

# Why an object is left out.
NO_PIXEL = "without a pixel in their image"
# Decimals of corners: far below what drawing sees.
_DECIMALS = 6


def drawn(annotation: dict[str, Any], record: dict[str, Any]) -> Region | None:
    """Return the pixels of an annotation as training sees them; None if there are none."""
    if annotation.get("segmentation") is None:
        return None
    size = record["height"], record["width"]
    return moved_region(annotation, T.TransformList([]), size, size)


def relative_name(record: dict[str, Any], images: Path) -> str:
    """Return the name of an image in its folder."""
    return Path(os.path.relpath(record["file_name"], images)).as_posix()


def coco_document(document: Document, images: Path) -> tuple[dict[str, Any], Counter[str]]:
    """Return a document as it is written in COCO's format, under a progress bar.

    Args:
        document: What was read.
        images: The folder that file names become relative to.

    Returns:
        The document, and how many objects were left out, by the reason.
    """
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    bar = tqdm(document.records, desc="converting", unit="image", disable=None)
    for number, record in enumerate(bar, 1):
        size = {side: record[side] for side in ("height", "width")}
        entries.append({"id": number, "file_name": relative_name(record, images), **size})
        for item in record.get("annotations", ()):
            if written := _annotation(item, record):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **written})
            else:
                left_out[NO_PIXEL] += 1
    names = enumerate(document.class_names, 1)
    categories = [{"id": number, "name": name} for number, name in names]
    converted = {"images": entries, "annotations": annotations, "categories": categories}
    return converted, left_out


def _annotation(item: dict[str, Any], record: dict[str, Any]) -> dict[str, Any] | None:
    """Return an annotation without its ids; None if there is nothing of it."""
    mask = item.get("segmentation")
    written = {"category_id": item["category_id"] + 1, "iscrowd": item.get("iscrowd", 0)}
    if mask is None:
        bbox = list(map(float, item.get("bbox") or ()))
        return {**written, "bbox": bbox, "area": bbox[2] * bbox[3]} if bbox else None
    if (region := drawn(item, record)) is None:
        return None
    left, top, right, bottom = region.box
    bbox = list(map(float, item.get("bbox") or (left, top, right - left, bottom - top)))
    if isinstance(mask, list):
        mask = [polygon.round(_DECIMALS).tolist() for polygon in mask]
    area = item.get("area") or region.area
    return {**written, "segmentation": mask, "bbox": bbox, "area": area}
