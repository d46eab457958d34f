"""Images whose pixels hold the number of their instance, as Pascal VOC and Cityscapes have them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from detectron2.structures import BoxMode
from pycocotools import mask as coco_mask
from tqdm.contrib.concurrent import thread_map

from solo.images import opened
from solo.structures.run_lengths import RLE

T = TypeVar("T")

# Decoding PNGs leaves Python free for other threads; more of them than this wait for each other.
_THREADS = 8


def encode_ids(ids: np.ndarray) -> dict[int, RLE]:
    """Encode every number of an image as COCO's RLE, in one pass over the pixels.

    Args:
        ids: (H, W), whole numbers.

    Returns:
        number -> RLE dict with ``size`` and ``counts``, a string; in ascending order.
    """
    flat = ids.T.ravel()  # COCO's runs go down the columns
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    ends = np.append(starts[1:], flat.size)
    values = flat[starts]
    return {
        int(value): _rle(starts[values == value], ends[values == value], ids.shape)
        for value in np.unique(values)
    }


def annotate(rle: RLE, category_id: int, *, iscrowd: int = 0) -> dict[str, Any]:
    """Return an annotation of detectron2's standard format with the tight box of its mask."""
    return {
        "bbox": coco_mask.toBbox(rle).tolist(),
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": category_id,
        "segmentation": rle,
        "iscrowd": iscrowd,
    }


def read_map(path: Path) -> np.ndarray:
    """Return the numbers of a map, (H, W).

    Raises:
        UnreadableImageError: If it cannot be read.
    """
    with opened(path) as image:
        return np.asarray(image)


def read_all(read: Callable[[Any], T], items: Sequence[Any], name: str) -> list[T]:
    """Return ``read(item)`` of each item, in their order: by several threads, under a named bar."""
    results: list[T] = thread_map(read, items, max_workers=_THREADS, desc=name, unit="image")
    return results


def _rle(starts: np.ndarray, ends: np.ndarray, size: Sequence[int]) -> RLE:
    """Encode the pixels from each start to before its end, in the order of the columns."""
    borders = np.stack([starts, ends], axis=1).ravel()
    counts = np.diff(borders, prepend=0, append=size[0] * size[1]).tolist()
    if counts[-1] == 0:  # as pycocotools writes a mask that ends with the image
        counts.pop()
    rle = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    return {"size": list(size), "counts": rle["counts"].decode("ascii")}
