"""The data sets of a config, as entries of DATASETS.FILES, that a found data set becomes.

Files that say what to evaluate with, and agree about the classes, stay what they are. Else they are read, and
written as COCO's json, whose images stay where they are.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.config.choices import AnnotationFormat
from solo.data.document import Document
from solo.data.formats.coco_json import read_usable
from solo.data.formats.written_coco import coco_document, relative_name
from solo.data.training_records import check_masks
from solo.errors import UserError
from solo.files import check_folder, write_text
from solo.survey.found_data import FoundData, Source
from solo.survey.validation_share import held_out

Record = dict[str, Any]


@dataclass(frozen=True)
class DataEntries:
    """What to train on and to evaluate with.

    Attributes:
        train: An entry of DATASETS.FILES.
        val: Another one, or `train` itself, of a single image.
        class_names: In the order of the model's channels.
        records: To train on: those with objects, in detectron2's standard format.
        num_val: Images to evaluate with.
        notes: What to tell of them, a line each.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    class_names: list[str]
    records: list[Record]
    num_val: int
    notes: list[str]


def data_entries(found: FoundData, folder: Path) -> DataEntries:
    """Read a data set, and write into a folder what has to be written.

    Args:
        found: The data set.
        folder: For `train.json` and `val.json`.

    Raises:
        OSError: A file cannot be read or written.
        UserError: The data cannot be trained on.
    """
    name = _free_name(found, folder)
    train_name, val_name = f"{name}_train", f"{name}_val"
    train = _read(found.train, train_name)
    val = _read(found.val, val_name) if found.val else None
    notes = [f"not used: {', '.join(found.unused)}"] if found.unused else []
    if found.val and val and val.class_names == train.class_names:
        entries = (_entry(train_name, found.train), _entry(val_name, found.val))
    elif found.val and val:
        names = list(dict.fromkeys([*train.class_names, *val.class_names]))
        notes.append(
            f"{folder}: both parts with the classes of both, since they are not the same in their files"
        )
        train, val = _with_classes(train, names), _with_classes(val, names)
        entries = (
            _written(train, train_name, found.train.images, folder / "train.json"),
            _written(val, val_name, found.val.images, folder / "val.json"),
        )
    else:
        train, val, note = _parts(train, Path(found.train.images))
        notes.append(note)
        entries = (
            _written(train, train_name, found.train.images, folder / "train.json"),
            _written(val, val_name, found.train.images, folder / "val.json"),
        )
    records = [record for record in train.records if _objects(record)]
    if not records:
        raise UserError(f"{found.train.annotations} has no object to learn from: annotate some.")
    notes += _told_classes(train)
    return DataEntries(*entries, train.class_names, records, len(val.records), notes)


def _read(source: Source, name: str) -> Document:
    document = read_usable(source.annotations, source.images, name, source.form)
    check_masks(document.records, [name])
    return document


def _entry(name: str, source: Source) -> tuple[str, ...]:
    return name, str(source.form), source.annotations, source.images


def _written(document: Document, name: str, images: str, file: Path) -> tuple[str, ...]:
    """Write a document, and return its entry."""
    check_folder(file.parent)
    content, _ = coco_document(document, Path(images))
    write_text(json.dumps(content, ensure_ascii=False), file)
    return name, str(AnnotationFormat.COCO), os.path.abspath(file), images


def _parts(document: Document, images: Path) -> tuple[Document, Document, str]:
    """Return a document without the images that are held out, those, and a line about them."""
    names = [relative_name(record, images) for record in document.records]
    classes = zip(names, (_objects(record).keys() for record in document.records), strict=True)
    chosen = held_out(dict(classes))
    if not chosen:
        return document, document, "evaluated with the image that it trains on: there is no other"
    parts: tuple[list[Record], list[Record]] = [], []
    for name, record in zip(names, document.records, strict=True):
        parts[name in chosen].append(record)
    train, val = (Document(part, document.class_names, document.category_ids) for part in parts)
    note = (
        f"evaluated with {len(parts[1])} of the {len(names)} images, which are not trained on: their "
        "names decide, and each class is in both parts if two images show it"
    )
    return train, val, note


def _with_classes(document: Document, names: Sequence[str]) -> Document:
    """Return a document with other channels."""
    channels = [names.index(name) for name in document.class_names]
    records = [
        {
            **record,
            "annotations": [
                {**item, "category_id": channels[item["category_id"]]}
                for item in record.get("annotations", ())
            ],
        }
        for record in document.records
    ]
    return Document(records, list(names), list(range(1, len(names) + 1)))


def _objects(record: Record) -> Counter[int]:
    """Return how many objects of each class an image shows; crowds are none."""
    items = record.get("annotations", ())
    return Counter(item["category_id"] for item in items if not item.get("iscrowd", 0))


def _told_classes(train: Document) -> list[str]:
    counts = sum(map(_objects, train.records), Counter[int]())
    unused = [name for number, name in enumerate(train.class_names) if not counts[number]]
    return [f"without an object to train on: {', '.join(unused)}"] if unused else []


def _free_name(found: FoundData, folder: Path) -> str:
    """Return a name whose parts no other data set has that is registered, as solo's own are."""
    name = found.name
    while any(_is_others(f"{name}_{part}", found, folder) for part in ("train", "val")):
        name = f"my_{name}"
    return name


def _is_others(name: str, found: FoundData, folder: Path) -> bool:
    if name not in DatasetCatalog:
        return False
    metadata = MetadataCatalog.get(name)
    file = metadata.get("json_file") or metadata.get("annotation_file")
    mine = [source.annotations for source in (found.train, found.val) if source]
    return file not in [
        *mine,
        *(os.path.abspath(folder / f"{part}.json") for part in ("train", "val")),
    ]
