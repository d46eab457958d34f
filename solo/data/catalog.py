"""Registered data sets: their names, and where they lie."""

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.errors import UserError

Records = list[dict[str, Any]]


def default_root() -> Path:
    """Return the folder for data sets: $SOLO_DATASETS, $DETECTRON2_DATASETS or ./datasets."""
    root = os.environ.get("SOLO_DATASETS") or os.environ.get("DETECTRON2_DATASETS") or "datasets"
    return Path(root).expanduser()


def register_once(name: str, load: Callable[[], Records], **metadata: Any) -> None:
    """Register a data set with detectron2, and what its metadata says; a name that is taken stays."""
    if name not in DatasetCatalog:
        DatasetCatalog.register(name, load)
        MetadataCatalog.get(name).set(**metadata)


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
                f"There is no data set {name!r}{hint} Name one of your own in DATASETS.FILES."
            )
