"""Data sets in COCO's format that the config names: no Python is needed to train on one's own."""

import logging
from functools import partial
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from solo.data.catalog import register_once
from solo.data.findings import Effect, Finding
from solo.data.formats.coco_document import read_coco
from solo.errors import UserError

logger = logging.getLogger(__name__)


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
        leave_folder = cfg.DATASETS.LEAVE_FOLDER
        load = partial(load_coco, json_file, image_root, name, leave_folder=leave_folder)
        files = {"json_file": json_file, "image_root": image_root}
        register_once(name, load, **files, evaluator_type="coco")
        if MetadataCatalog.get(name).get("json_file") != json_file:
            raise UserError(
                f"DATASETS.COCO_JSON: the name {name} is taken by another data set; choose another."
            )


def load_coco(
    json_file: str, image_root: str, name: str, *, leave_folder: bool = False
) -> list[dict[str, Any]]:
    """Load a file in COCO's format, and tell the metadata its classes, in the order of their ids.

    Annotations that nothing can be done with are left out with a warning that names the first.

    Args:
        json_file: The annotations; `id`, `area`, `bbox` and `iscrowd` may be missing.
        image_root: The folder that file names are relative to.
        name: Of the data set.
        leave_folder: Whether file names may lead out of the folder.

    Returns:
        Records in detectron2's standard format, in the order of the image ids.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is not in COCO's format, or most of it cannot be used; names the first mistake.
    """
    document = read_coco(json_file, image_root, leave_folder=leave_folder)
    files = f"--annotations {json_file} --images {image_root}"
    hint = f"python -m solo.tools.check_dataset {files} lists all"
    if fatal := document.with_effect(Effect.STOPS):
        raise UserError(f"{json_file}: {_first(fatal)} Such mistakes: {len(fatal)}; {hint}")
    if lost := document.with_effect(Effect.LEFT_OUT):
        if document.is_refused:
            kept = document.kept
            raise UserError(
                f"{json_file}: only {kept} of {kept + len(lost)} annotations can be used; "
                f"{_first(lost)} {hint}"
            )
        logger.warning(
            "%s: left out %d annotations that are broken; %s %s",
            name,
            len(lost),
            _first(lost),
            hint,
        )
    if guessed := document.with_effect(Effect.GUESSED):
        logger.warning("%s: %d oddities; %s %s", name, len(guessed), _first(guessed), hint)
    MetadataCatalog.get(name).set(
        thing_classes=document.class_names,
        thing_dataset_id_to_contiguous_id={
            number: channel for channel, number in enumerate(document.category_ids)
        },
    )
    return document.records


def _first(findings: list[Finding]) -> str:
    kind = findings[0].kind
    return f"{kind.title}: {findings[0]}. {kind.advice}"
