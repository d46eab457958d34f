"""One annotation of a file, written as it was read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from solo.data.bounds import mask_bounds
from solo.data.findings import Kind
from solo.data.identities import Identity
from solo.data.mask_forms import Mask
from solo.structures.polygons import draw_polygons

_WRONG_BOX = {Kind.BROKEN_BOX, Kind.WRONG_BOX, Kind.OUTSIDE}


@dataclass(frozen=True)
class ReadEntry:
    """An annotation as it was read.

    Attributes:
        item: In detectron2's format.
        record: Of its image.
        kinds: What is wrong with it.
    """

    item: dict[str, Any]
    record: dict[str, Any]
    kinds: set[Kind] = field(default_factory=set)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of its image."""
        return self.record["height"], self.record["width"]


def mend_entry(
    entry: dict[str, Any], read: ReadEntry, category: Identity, *, is_redrawn: bool
) -> Iterator[str]:
    """Write the values of an annotation as they were read, and say of each that it changes.

    Args:
        entry: Changed in place.
        read: What was read of it.
        category: The id of its class.
        is_redrawn: Whether its mask was changed before.
    """
    for key, number in (("image_id", read.record["image_id"]), ("category_id", category)):
        if isinstance(entry[key], str) is not isinstance(number, str):
            entry[key] = number
            yield f"{key} written as the id is"
    if "iscrowd" in entry and type(entry["iscrowd"]) is not int:
        entry["iscrowd"] = read.item["iscrowd"]
        yield "iscrowd written as a number"
    mask = read.item.get("segmentation")
    if mask is not None and not _is_plain(entry["segmentation"], mask):
        entry["segmentation"] = [part.tolist() for part in mask] if isinstance(mask, list) else mask
        yield "masks written as lists of polygons or as run lengths"
    yield from _mend_box(entry, read, mask)
    is_number = "area" in read.item and not isinstance(entry["area"], str)
    if "area" in entry and (is_redrawn or not is_number):
        if mask is not None:
            entry["area"] = _area(mask, read.size)
        else:
            del entry["area"]
        yield "areas counted anew"


def _mend_box(entry: dict[str, Any], read: ReadEntry, mask: Mask | None) -> Iterator[str]:
    given = entry.get("bbox")
    if "bbox" not in entry or (not given and mask is None):
        return
    if given and not read.kinds & _WRONG_BOX:
        if not all(isinstance(number, int | float) for number in given):
            entry["bbox"] = list(map(float, read.item["bbox"]))
            yield "boxes written as numbers"
    elif mask is None:
        del entry["bbox"]
        yield "broken boxes of crowds removed"
    else:
        height, width = read.size
        bounds = np.clip(mask_bounds(mask), 0, [width, height, width, height])
        box = [*bounds[:2].tolist(), *(bounds[2:] - bounds[:2]).tolist()]
        if box != given:
            entry["bbox"] = box
            yield "boxes drawn anew around their masks"


def _is_plain(segmentation: Any, mask: Mask) -> bool:
    """Return whether a mask is written as COCO has it, and was read without a change."""
    if isinstance(mask, list):
        return bool(segmentation == [part.tolist() for part in mask])
    counts = segmentation["counts"]
    numbers = [*segmentation["size"], *(counts if isinstance(counts, list) else ())]
    return all(type(number) is int for number in numbers)


def _area(mask: Mask, size: tuple[int, int]) -> int:
    """Return the pixels of a mask."""
    return int(coco_mask.area(draw_polygons(mask, size) if isinstance(mask, list) else mask))
