"""Registered data sets; what is wrong with one is said with its name."""

import difflib
from collections.abc import Sequence
from typing import Any

from detectron2.data import DatasetCatalog

from solo.errors import UserError, told_as


def load_records(name: str) -> list[dict[str, Any]]:
    """Return the records of a registered data set, in detectron2's format.

    Raises:
        OSError: If a file cannot be read.
        UserError: If detectron2 does not know the name, or the files are broken.
    """
    check_registered([name])
    with told_as(f"the data set {name} cannot be loaded"):
        return DatasetCatalog.get(name)


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
