"""Registered data sets, and where they lie; what is wrong with one is said with its name."""

import difflib
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.errors import UserError, told_as

Records = list[dict[str, Any]]


class _Kept:
    """What a data set is registered with: a function that remembers what it loaded.

    All who ask detectron2's catalogue call it; a data set that is registered anew has another one.
    """

    def __init__(self, name: str, load: Callable[[], Records]) -> None:
        self._name, self._load = name, load
        self.forget()

    def forget(self) -> None:
        self._content: bytes | None = None
        self._version: Any = None

    def __call__(self) -> Records:
        if self._content is None or self._version != _version(self._name):
            records = self._load()
            if not isinstance(records, list):  # torch's Dataset, which loads when it is asked
                return records
            # Serialised: compact, and nobody can spoil the records of others.
            self._content = pickle.dumps(records, pickle.HIGHEST_PROTOCOL)
            self._version = _version(self._name)
            return records
        kept: Records = pickle.loads(self._content)
        return kept


def default_root() -> Path:
    """Return the folder for data sets: $SOLO_DATASETS, $DETECTRON2_DATASETS or ./datasets."""
    root = os.environ.get("SOLO_DATASETS") or os.environ.get("DETECTRON2_DATASETS") or "datasets"
    return Path(root).expanduser()


def register_once(name: str, load: Callable[[], Records], **metadata: Any) -> None:
    """Register a data set with detectron2, and what its metadata says; a name that is taken stays."""
    if name not in DatasetCatalog:
        DatasetCatalog.register(name, load)
        MetadataCatalog.get(name).set(**metadata)


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
        DatasetCatalog[name] = _Kept(name, DatasetCatalog[name])


def forget_records(name: str) -> None:
    """Free the memory of a data set's records, if they are kept."""
    if isinstance(load := DatasetCatalog[name], _Kept):
        load.forget()


def check_registered(names: Sequence[str]) -> None:
    """Stop at a data set that detectron2 does not know.

    Raises:
        UserError: If there is one; it tells names that are similar.
    """
    for name in names:
        if name not in DatasetCatalog:
            similar = difflib.get_close_matches(name, list(DatasetCatalog), n=3)
            hint = f"; did you mean {' or '.join(similar)}?" if similar else "."
            raise UserError(
                f"There is no data set {name!r}{hint} Name one of your own in DATASETS.COCO_JSON."
            )


def _version(name: str) -> tuple[int, int] | None:
    """Tell one version of a data set's annotation file, if it has one, from another."""
    path = Path(MetadataCatalog.get(name).get("json_file") or "")
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_size
