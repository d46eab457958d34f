"""Data sets that the config names, in COCO's format or another: no Python is needed to train on one's own."""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog

from solo.config.choices import AnnotationFormat, choose
from solo.data.catalog import register_once
from solo.data.document import Document, normalise
from solo.data.findings import Effect, Finding
from solo.data.formats.registry import read_annotations
from solo.errors import UserError
from solo.garbage import no_garbage_collection

logger = logging.getLogger(__name__)


def register_coco_json(cfg: CfgNode) -> None:
    """Register the entries of DATASETS.FILES, and those of DATASETS.COCO_JSON, its short form.

    A name that is registered with the same files stays as it is. Files are not looked at: a demo or
    an evaluation needs no training data.

    Raises:
        UserError: If an entry is not as it should be, or its name stands for other files.
    """
    register = partial(_register, leave_folder=cfg.DATASETS.LEAVE_FOLDER)
    for name, json_file, images in _entries(cfg, "COCO_JSON", "name, json file, image folder"):
        register("COCO_JSON", name, AnnotationFormat.COCO, json_file, images)
    for name, form, path, images in _entries(cfg, "FILES", "name, format, path, image folder"):
        word = choose(AnnotationFormat, form, f"The format of {name} in DATASETS.FILES")
        register("FILES", name, word, path, images)


def register_annotations(path: str, images: str, form: str, *, leave_folder: bool = False) -> str:
    """Register annotations that no config names, under their path, and return that name.

    Args:
        path: The annotations.
        images: The folder that file names are relative to.
        form: A word of AnnotationFormat.
        leave_folder: Whether file names may lead out of the folder.

    Raises:
        UserError: If there is no such word.
    """
    word = choose(AnnotationFormat, form, "The format of annotations")
    _register("FILES", path, word, path, images, leave_folder=leave_folder)
    return path


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


def _register(
    key: str, name: str, form: AnnotationFormat, path: str, images: str, *, leave_folder: bool
) -> None:
    path, images = os.path.expanduser(path), os.path.expanduser(images)
    # Of the other formats no file is one that detectron2 could read.
    file = "json_file" if form == AnnotationFormat.COCO else "annotation_file"
    load = partial(load_coco, path, images, name, str(form), leave_folder=leave_folder)
    files = {file: path, "image_root": images, "annotation_format": str(form)}
    register_once(name, load, **files, leave_folder=leave_folder, evaluator_type="coco")
    if MetadataCatalog.get(name).get(file) != path:
        raise UserError(
            f"DATASETS.{key}: the name {name} is taken by another data set; choose another."
        )


def load_coco(
    json_file: str,
    image_root: str,
    name: str,
    form: str = AnnotationFormat.COCO,
    *,
    leave_folder: bool = False,
) -> list[dict[str, Any]]:
    """Load a file in COCO's format, or another, and tell the metadata its classes, in the order of their ids.

    Annotations that nothing can be done with are left out with a warning that names the first.

    Args:
        json_file: The annotations; `id`, `area`, `bbox` and `iscrowd` may be missing.
        image_root: The folder that file names are relative to.
        name: Of the data set.
        form: A word of AnnotationFormat.
        leave_folder: Whether file names may lead out of the folder.

    Returns:
        Records in detectron2's standard format, in the order of the image ids.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is not in its format, or most of it cannot be used; names the first mistake.
    """
    document = read_usable(json_file, image_root, name, form, leave_folder=leave_folder)
    MetadataCatalog.get(name).set(
        thing_classes=document.class_names,
        thing_dataset_id_to_contiguous_id={
            number: channel for channel, number in enumerate(document.category_ids)
        },
    )
    return document.records


def read_usable(
    path: str, images: str, name: str, form: str, *, leave_folder: bool = False
) -> Document:
    """Read annotations, and stop if they cannot be used; see :func:`load_coco`."""
    with no_garbage_collection():
        raw = read_annotations(path, images, form)
        document = normalise(raw, images, leave_folder=leave_folder)
    hint = f"solo data check --annotations {path} --images {images} lists all"
    if fatal := document.with_effect(Effect.STOPS):
        raise UserError(f"{path}: {_first(fatal)} Such mistakes: {len(fatal)}; {hint}")
    if lost := document.with_effect(Effect.LEFT_OUT):
        if document.is_refused:
            kept = document.kept
            raise UserError(
                f"{path}: only {kept} of {kept + document.lost} annotations can be used; "
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
    return document


def _first(findings: list[Finding]) -> str:
    kind = findings[0].kind
    return f"{kind.title}: {findings[0]}. {kind.advice}"
