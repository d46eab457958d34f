"""Data sets in COCO's format that the config names: no Python is needed to train on one's own."""

import logging
from functools import partial
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from solo.data.catalog import register_once
from solo.data.findings import Kind
from solo.data.formats.coco_document import check_document, document_records, read_document
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
    """Register the entries of DATASETS.COCO_JSON, each [name, json file, image folder].

    A name that is registered with the same files stays as it is. Files are not looked at: a demo or
    an evaluation needs no training data.

    Raises:
        UserError: If an entry is no such triple, or its name stands for other files.
    """
    entries = cfg.DATASETS.COCO_JSON
    if not isinstance(entries, list | tuple):
        raise UserError(f"DATASETS.COCO_JSON is {entries!r}; give a list of triples.")
    for entry in entries:
        if (
            not isinstance(entry, list | tuple)
            or len(entry) != 3
            or not all(isinstance(part, str) for part in entry)
        ):
            raise UserError(
                f"DATASETS.COCO_JSON has the entry {entry!r}; give [name, json file, image folder]."
            )
        name, json_file, image_root = entry
        load = partial(load_coco, json_file, image_root, name)
        files = {"json_file": json_file, "image_root": image_root}
        register_once(name, load, **files, evaluator_type="coco")
        if MetadataCatalog.get(name).get("json_file") != json_file:
            raise UserError(
                f"DATASETS.COCO_JSON: the name {name} is taken by another data set; choose another."
            )


def load_coco(json_file: str, image_root: str, name: str) -> list[dict[str, Any]]:
    """Load a file in COCO's format, and tell the metadata its classes, in the order of their ids.

    Polygons that are none are left out with a warning, as detectron2 does, and so are annotations
    of unknown images.

    Args:
        json_file: The annotations; `id`, `area`, `bbox` and `iscrowd` may be missing.
        image_root: The folder that file names are relative to.
        name: Of the data set.

    Returns:
        Records in detectron2's standard format, in the order of the image ids.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is not in COCO's format; names the first mistake.
    """
    document = read_document(json_file)
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
