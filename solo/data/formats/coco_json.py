"""Data sets in COCO's format that the config names: no Python is needed to train on one's own."""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from solo.config.choices import AnnotationFormat, choose
from solo.data.catalog import register_once
from solo.data.findings import Kind
from solo.data.formats.coco_document import check_document, document_records
from solo.data.formats.registry import read_annotations
from solo.errors import UserError

logger = logging.getLogger(__name__)

# What makes records wrong, or the evaluation; the rest concerns single annotations.
_FATAL = (
    Kind.MISSING_FIELD,
    Kind.DUPLICATE_IMAGE_ID,
    Kind.DUPLICATE_ANNOTATION_ID,
    Kind.UNKNOWN_CATEGORY,
)
# Of an annotation, what records keep.
_KEPT = ("iscrowd", "bbox", "bbox_mode", "category_id", "segmentation", "id")


def register_coco_json(cfg: CfgNode) -> None:
    """Register the entries of DATASETS.FILES, and those of DATASETS.COCO_JSON, its short form.

    A name that is registered with the same files stays as it is. Files are not looked at: a demo or
    an evaluation needs no training data.

    Raises:
        UserError: If an entry is not as it should be, or its name stands for other files.
    """
    for name, json_file, images in _entries(cfg, "COCO_JSON", "name, json file, image folder"):
        _register("COCO_JSON", name, AnnotationFormat.COCO, json_file, images)
    for name, form, path, images in _entries(cfg, "FILES", "name, format, path, image folder"):
        word = choose(AnnotationFormat, form, f"The format of {name} in DATASETS.FILES")
        _register("FILES", name, word, path, images)


def _entries(cfg: CfgNode, key: str, parts: str) -> Iterator[Sequence[str]]:
    """Yield the entries of a key of DATASETS, each of so many texts."""
    entries = cfg.DATASETS[key]
    if not isinstance(entries, list | tuple):
        raise UserError(f"DATASETS.{key} is {entries!r}; give a list of [{parts}].")
    for entry in entries:
        if (
            not isinstance(entry, list | tuple)
            or len(entry) != len(parts.split(", "))
            or not all(isinstance(part, str) for part in entry)
        ):
            raise UserError(f"DATASETS.{key} has the entry {entry!r}; give [{parts}].")
        yield entry


def _register(key: str, name: str, form: AnnotationFormat, path: str, images: str) -> None:
    path, images = os.path.expanduser(path), os.path.expanduser(images)
    # Of the other formats no file is one that detectron2 could read.
    file = "json_file" if form == AnnotationFormat.COCO else "annotation_file"
    load = partial(load_coco, path, images, name, str(form))
    register_once(name, load, **{file: path}, image_root=images, evaluator_type="coco")
    if MetadataCatalog.get(name).get(file) != path:
        raise UserError(
            f"DATASETS.{key}: the name {name} is taken by another data set; choose another."
        )


def load_coco(
    json_file: str, image_root: str, name: str, form: str = AnnotationFormat.COCO
) -> list[dict[str, Any]]:
    """Load a file in COCO's format, or in another, and tell the metadata its classes, in the order of their ids.

    Polygons that are none are left out with a warning, as detectron2 does, and so are annotations
    of unknown images.

    Args:
        json_file: The annotations; `id`, `area`, `bbox` and `iscrowd` may be missing.
        image_root: The folder that file names are relative to.
        name: Of the data set.
        form: A word of AnnotationFormat.

    Returns:
        Records in detectron2's standard format, in the order of the image ids.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is not in COCO's format; names the first mistake.
    """
    document = read_annotations(json_file, image_root, form)
    findings = check_document(document)
    hint = f"python -m solo.tools.check_dataset --json {json_file} --images {image_root} lists all"
    if fatal := [finding for finding in findings if finding.kind in _FATAL]:
        raise UserError(
            f"{json_file}: {fatal[0].kind.title}: {fatal[0]}. {fatal[0].kind.advice} "
            f"Such mistakes: {len(fatal)}; {hint}"
        )
    categories = sorted(document["categories"], key=lambda category: category["id"])
    channels = {category["id"]: channel for channel, category in enumerate(categories)}
    MetadataCatalog.get(name).set(
        thing_classes=[category["name"] for category in categories],
        thing_dataset_id_to_contiguous_id=channels,
    )
    records = document_records(document, image_root)
    dropped = 0
    for record in records:
        kept = [_annotation(item, channels) for item in record["annotations"]]
        record["annotations"] = [item for item in kept if item is not None]
        dropped += len(kept) - len(record["annotations"])
    dropped += sum(finding.kind is Kind.UNKNOWN_IMAGE for finding in findings)
    if dropped:
        logger.warning("%s: left out %d annotations that are broken; %s", name, dropped, hint)
    return sorted(records, key=lambda record: record["image_id"])


def _annotation(item: dict[str, Any], channels: dict[Any, int]) -> dict[str, Any] | None:
    """Return an annotation as records have it; None if none of its polygons has three corners."""
    kept = {key: item[key] for key in _KEPT if key in item}
    kept["category_id"] = channels[item["category_id"]]
    segmentation = kept.get("segmentation")
    if not segmentation:  # an empty list stands for no mask
        kept.pop("segmentation", None)
    elif isinstance(segmentation, list):
        kept["segmentation"] = [
            points
            for points in segmentation
            if isinstance(points, list) and len(points) >= 6 and len(points) % 2 == 0
        ]
        if not kept["segmentation"]:
            return None
    return kept
