"""What a checkpoint says of its model beside the weights: from which score it is best shown, and its ids of classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solo.checkpoint.storage import read_checkpoint, write_checkpoint

# Keys of checkpoints, and of the metadata of an export.
BEST_F1 = "best_f1"  # {"threshold": 0 to 1, "F1": in percent}, of the evaluation of these weights
CATEGORY_IDS = "category_ids"  # the data set's own, in the order of class_names


def add_to_checkpoint(path: Path, **more: Any) -> None:
    """Write a checkpoint again with more in it; it is at every moment the old file or the new one.

    Raises:
        OSError: If it cannot be read or written; it is as before.
    """
    write_checkpoint({**read_checkpoint(path), **more}, path)


def known_threshold(content: Mapping[str, Any]) -> float | None:
    """Return the threshold of the best F1; None where none was found, or what is there is none."""
    best = content.get(BEST_F1)
    threshold = best.get("threshold") if isinstance(best, dict) else None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        return None
    return float(threshold) if 0 <= threshold <= 1 else None


def known_category_ids(content: Mapping[str, Any], count: int) -> tuple[int | str, ...]:
    """Return the ids of so many classes; empty where they are not known."""
    ids = content.get(CATEGORY_IDS)
    if not isinstance(ids, list | tuple) or len(ids) != count:
        return ()
    return tuple(ids) if all(type(number) in (int, str) for number in ids) else ()
