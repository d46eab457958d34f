"""The records of registered data sets, loaded once a process; what is wrong with one is said with its name."""

import os
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.data.catalog import Records, check_registered
from solo.data.formats.coco_json import load_coco
from solo.errors import told_as

# What detectron2 registers COCO's files with: its reader has other rules than ours.
_FOREIGN_READER = "register_coco_instances.<locals>.<lambda>"


class _Kept:
    """What a data set is registered with: a function that remembers what it loaded.

    All who ask detectron2's catalogue call it; a data set that is registered anew has another one.
    """

    def __init__(self, name: str, load: Callable[[], Records]) -> None:
        self._name, self._load = name, load
        self.count: int | None = None
        self.objects: int | None = None
        self.forget()

    def forget(self) -> None:
        self._content: bytes | None = None
        self._version: Any = None

    def __call__(self) -> Records:
        if self._content is None or self._version != _version(self._name):
            try:
                records = self._load()
            except FileNotFoundError as error:
                raise FileNotFoundError(_where_it_was_looked_for(self._name, error)) from error
            if not isinstance(records, list):  # torch's Dataset, which loads when it is asked
                return records
            # Serialised: compact, and nobody can spoil the records of others.
            self._content = pickle.dumps(records, pickle.HIGHEST_PROTOCOL)
            self.count = len(records)
            self.objects = sum(len(record.get("annotations", ())) for record in records)
            self._version = _version(self._name)
            return records
        kept: Records = pickle.loads(self._content)
        return kept


def _where_it_was_looked_for(name: str, error: FileNotFoundError) -> str:
    """Say which data set is not here, and where it has to lie."""
    if not error.filename:  # a sentence of ours
        return str(error)
    path, root = Path(error.filename), os.environ.get("DETECTRON2_DATASETS")
    sentence = f"The data set {name} is not here: there is no {path.absolute()}"
    folder = Path(root or "datasets").expanduser()
    if not path.is_relative_to(folder):
        return f"{sentence}."
    now = "is" if root else "is not set and means"
    return (
        f"{sentence}. It is looked for in $DETECTRON2_DATASETS, which {now} {folder.absolute()}: set it to the "
        f"folder that holds {path.relative_to(folder).parts[0]}/."
    )


def load_records(name: str) -> Records:
    """Return the records of a registered data set, in detectron2's format.

    A data set is loaded once a process: see :func:`keep_records`.

    Raises:
        OSError: If a file cannot be read.
        UserError: If detectron2 does not know the name, or the files are broken.
    """
    keep_records(name)
    with told_as(f"the data set {name} cannot be loaded"):
        records: Records = DatasetCatalog.get(name)
    return records


def keep_records(name: str) -> None:
    """Have a registered data set remember its records from its next loading on.

    It is loaded again when its annotation file has changed.

    Raises:
        UserError: If detectron2 does not know the name.
    """
    check_registered([name])
    if not isinstance(DatasetCatalog[name], _Kept):
        DatasetCatalog[name] = _Kept(name, _reader(name))


def forget_records(name: str) -> None:
    """Free the memory of a data set's records, if they are kept."""
    if isinstance(load := DatasetCatalog[name], _Kept):
        load.forget()


def known_count(name: str) -> int | None:
    """Return how many images a data set has, also after :func:`forget_records`; None before it is loaded."""
    load = DatasetCatalog.data.get(name)
    return load.count if isinstance(load, _Kept) else None


def known_objects(name: str) -> int | None:
    """Return how many annotated objects a data set has; see :func:`known_count`."""
    load = DatasetCatalog.data.get(name)
    return load.objects if isinstance(load, _Kept) else None


def may_leave_folder(name: str) -> bool:
    """Tell whether the file names of a data set may lead out of its image folder."""
    metadata = MetadataCatalog.get(name)
    # Without a folder file names are whole paths.
    return bool(metadata.get("leave_folder", not metadata.get("image_root")))


def _reader(name: str) -> Callable[[], Records]:
    """Return what loads a data set: for COCO's files our reading, whoever registered them."""
    load: Callable[[], Records] = DatasetCatalog[name]
    if getattr(load, "__qualname__", "") != _FOREIGN_READER:
        return load
    metadata = MetadataCatalog.get(name)
    files = metadata.json_file, metadata.image_root, name
    return partial(load_coco, *files, leave_folder=may_leave_folder(name))


def _version(name: str) -> tuple[int, int] | None:
    """Tell one version of a data set's annotation file, if it has one, from another."""
    metadata = MetadataCatalog.get(name)
    path = Path(metadata.get("json_file") or metadata.get("annotation_file") or "")
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_size
