"""COCO's json: read with clear errors, checked as a whole, and turned into records.

pycocotools stops at the first thing it does not find, or loses what it finds twice. So the file is
parsed here.
"""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from detectron2.structures import BoxMode
from detectron2.utils.file_io import PathManager

from solo.data.checks import check_contents
from solo.data.findings import Finding, Kind, duplicates
from solo.errors import UserError, told_as

Document = dict[str, Any]

# What an entry cannot do without. Annotations do without `id`, `area`, `bbox` and `iscrowd`.
_FIELDS = {
    "images": ("id", "file_name", "height", "width"),
    "annotations": ("image_id", "category_id"),
    "categories": ("id", "name"),
}


def read_document(json_file: Path | str) -> Document:
    """Read a file in COCO's format; whole numbers that were written as 640.0 become 640.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is no json object.
    """
    with (
        PathManager.open(str(json_file), encoding="utf-8") as file,
        told_as(f"{json_file} is no json"),
    ):
        document = json.load(file)
    if not isinstance(document, dict):
        raise UserError(
            f"{json_file} holds a {type(document).__name__}, not an object with images, "
            "annotations and categories: is it a file of predictions?"
        )
    for image in _entries(document, "images"):
        for side in ("height", "width"):
            if isinstance(image.get(side), float) and image[side].is_integer():
                image[side] = int(image[side])
    return document


def check_coco_json(
    json_file: Path | str, image_root: Path | str, *, read_images: bool = False
) -> list[Finding]:
    """Check a file in COCO's format and its images; it need not be registered.

    Args:
        json_file: The annotations.
        image_root: The folder that file names are relative to.
        read_images: Whether to decode each image, not only the header of its file.

    Returns:
        What is wrong; empty if nothing is.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no json object.
    """
    document = read_document(json_file)
    records = document_records(document, image_root)
    return check_document(document) + check_contents(records, read_images=read_images)


def check_document(document: Document) -> list[Finding]:
    """Check that entries are complete, have ids of their own, and refer to what is there."""
    findings: list[Finding] = []
    for section in _FIELDS:
        findings += _check_section(document, section)
    images, categories = _complete(document, "images"), _complete(document, "categories")
    annotations = _complete(document, "annotations")
    names = {image["id"]: image["file_name"] for image in images}
    known = {category["id"] for category in categories}
    numbered = [(a["id"], names.get(a["image_id"], "")) for a in annotations if _is_id(a.get("id"))]
    return [
        *findings,
        *duplicates(Kind.DUPLICATE_IMAGE_ID, [(i["id"], i["file_name"]) for i in images]),
        *duplicates(Kind.DUPLICATE_FILE_NAME, [(i["file_name"], i["file_name"]) for i in images]),
        *duplicates(Kind.DUPLICATE_ANNOTATION_ID, numbered),
        *duplicates(Kind.DUPLICATE_CLASS, [(c["id"], "") for c in categories]),
        *duplicates(Kind.DUPLICATE_CLASS, [(str(c["name"]), "") for c in categories]),
        *_check_references(annotations, names, known),
    ]


def document_records(document: Document, image_root: Path | str) -> list[dict[str, Any]]:
    """Return one image after the other with its annotations, whose fields stay as they are.

    Entries that lack a field, and annotations of unknown images, are left out. Annotations without
    an id get their place in the file.

    Returns:
        Records in detectron2's standard format, but with the category ids of the file.
    """
    records = {
        image["id"]: {
            "file_name": os.path.join(image_root, image["file_name"]),
            "image_id": image["id"],
            "height": image["height"],
            "width": image["width"],
            "annotations": [],
        }
        for image in _complete(document, "images")
    }
    for index, item in enumerate(_complete(document, "annotations")):
        if record := records.get(item["image_id"]):
            added = {"id": index, **item, "bbox_mode": BoxMode.XYWH_ABS}
            record["annotations"].append(added)
    return list(records.values())


def _entries(document: Document, section: str) -> list[dict[str, Any]]:
    value = document.get(section)
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, dict)]


def _complete(document: Document, section: str) -> list[dict[str, Any]]:
    return [entry for entry in _entries(document, section) if not _missing(entry, section)]


def _missing(entry: dict[str, Any], section: str) -> list[str]:
    """Return the fields that an entry lacks, or has in a form that nothing can be done with."""
    return [field for field in _FIELDS[section] if not _is_valid(field, entry.get(field))]


def _is_valid(field: str, value: Any) -> bool:
    if field in ("height", "width"):
        return isinstance(value, int) and value > 0
    if field in ("file_name", "name"):
        return isinstance(value, str) and value != ""
    return _is_id(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _check_section(document: Document, section: str) -> Iterator[Finding]:
    if section == "annotations" and section not in document:
        return  # images to predict on
    value = document.get(section)
    if not isinstance(value, list) or (not value and section != "annotations"):
        yield Finding(Kind.MISSING_FIELD, f"the file has no list of {section}")
        return
    for index, entry in enumerate(value):
        if not isinstance(entry, dict):
            yield Finding(Kind.MISSING_FIELD, f"{section}[{index}] is no object: {entry!r:.40}")
            continue
        for field in _missing(entry, section):
            given = f"the {field} {entry[field]!r:.40}" if field in entry else f"no {field}"
            detail = f"{section}[{index}] has {given}"
            yield Finding(Kind.MISSING_FIELD, detail, str(entry.get("file_name", "")))


def _check_references(
    annotations: list[dict[str, Any]], names: dict[Any, str], categories: Collection[Any]
) -> Iterator[Finding]:
    for index, item in enumerate(annotations):
        number = item.get("id", index)
        image, category = item["image_id"], item["category_id"]
        if image not in names:
            detail = f"no image has the id {image!r}"
            yield Finding(Kind.UNKNOWN_IMAGE, detail, annotation_id=number)
        if category not in categories:
            detail = f"no category has the id {category!r}"
            yield Finding(Kind.UNKNOWN_CATEGORY, detail, names.get(image, ""), number)
