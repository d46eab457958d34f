"""The forms that people write masks in, made into two: polygons as arrays, and checked run lengths.

Many are read at once, which costs no more than json's own reading; whoever is odd is read alone.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from solo.data.findings import Kind, shown
from solo.data.plain_values import FARTHEST
from solo.structures.run_lengths import RLE, as_compressed, which_fill

Mask = list[np.ndarray] | RLE
"""Polygons, each (2n,) float64, x1, y1, x2, y2, ... of three corners or more; or COCO's compressed RLE."""

# Masks read at a time: one odd number among them costs this many a slower reading.
_AT_A_TIME = 1000
_FEWEST = 6  # numbers of a polygon
_ADVICE = ": give at least three x, y pairs"


class BrokenMaskError(ValueError):
    """A mask that cannot be understood."""

    def __init__(self, kind: Kind, detail: str) -> None:
        """Take what is wrong."""
        super().__init__(detail)
        self.kind = kind


def read_masks(
    segmentations: Sequence[Any], sizes: Sequence[tuple[int, int]]
) -> list[Mask | BrokenMaskError | None]:
    """Read many masks; see :func:`read_mask`.

    Args:
        segmentations: As they are in a file.
        sizes: (H, W) in pixels of the image of each.

    Returns:
        For each the mask, None where there is none, or what is wrong with it.
    """
    masks: list[Mask | BrokenMaskError | None] = []
    pairs = iter(zip(segmentations, sizes, strict=True))
    while some := list(islice(pairs, _AT_A_TIME)):
        quick = _plain_polygons([one for one, _ in some]) or _plain_rles(some)
        for index, (segmentation, size) in enumerate(some):
            masks.append(quick.get(index) or _read_alone(segmentation, size))
    return masks


def read_mask(segmentation: Any, size: tuple[int, int]) -> Mask | None:
    """Read a mask in whichever form.

    That is a list of polygons, each a list x1, y1, x2, y2, ... or of pairs [x, y]; or one polygon without
    the list around it; or RLE, compressed or as a list; or pixels. Numbers may be written as text.

    Args:
        segmentation: As it is in a file or a record.
        size: (H, W) of the image, in pixels.

    Returns:
        The mask; None if there is none. Polygons of fewer than three corners are left out.

    Raises:
        BrokenMaskError: If it cannot be understood, or nothing is left.
    """
    if segmentation is None or (isinstance(segmentation, list | dict | str) and not segmentation):
        return None
    if isinstance(segmentation, list):
        polygons = [_corners(one) for one in _listed(segmentation)]
        whole = [one for one in polygons if len(one) >= _FEWEST]
        if not whole:
            raise BrokenMaskError(Kind.BROKEN_POLYGON, _few(min(polygons, key=len)))
        return whole
    try:
        return _rle(segmentation, size)
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        detail = f"its mask does not decode: {error}"
        raise BrokenMaskError(Kind.BROKEN_RLE, detail) from error


def short_polygons(segmentation: Any) -> str:
    """Say what is wrong with those polygons of a mask that are left out; empty if none is."""
    polygons = [_corners(one) for one in _listed(segmentation)]
    return next((_few(one) for one in polygons if len(one) < _FEWEST), "")


def _read_alone(segmentation: Any, size: tuple[int, int]) -> Mask | BrokenMaskError | None:
    try:
        return read_mask(segmentation, size)
    except BrokenMaskError as error:
        return error


def _plain_polygons(segmentations: Sequence[Any]) -> dict[int, Mask]:
    """Return those masks that are polygons as they should be, by their places."""
    places = [i for i, one in enumerate(segmentations) if isinstance(one, list)]
    polygons = list(chain.from_iterable(segmentations[i] for i in places))
    if not all(isinstance(polygon, list) for polygon in polygons):
        return {}  # text and dicts can be gone through as well, and hold something else
    try:
        lengths = np.fromiter(map(len, polygons), dtype=np.int64, count=len(polygons))
        numbers = np.fromiter(chain.from_iterable(polygons), np.float64, int(lengths.sum()))
    except (TypeError, ValueError, OverflowError):
        return {}
    far = ~(np.abs(numbers) < FARTHEST)
    if far.any() or (lengths < _FEWEST).any() or (lengths % 2).any():
        return {}
    parts = iter(np.split(numbers, lengths.cumsum()[:-1]))
    return {i: list(islice(parts, len(segmentations[i]))) for i in places if segmentations[i]}


def _plain_rles(pairs: Sequence[tuple[Any, tuple[int, int]]]) -> dict[int, Mask]:
    """Return those masks that are compressed run lengths as they should be, by their places."""
    places = [
        index
        for index, (one, size) in enumerate(pairs)
        if isinstance(one, dict)
        and isinstance(one.get("counts"), str)
        and one["counts"].isascii()
        and one.get("size") == list(size)
    ]
    texts = [pairs[index][0]["counts"].encode() for index in places]
    areas = [pairs[index][1][0] * pairs[index][1][1] for index in places]
    fitting = which_fill(texts, areas)
    return {
        index: {"size": list(pairs[index][1]), "counts": pairs[index][0]["counts"]}
        for index, fits in zip(places, fitting, strict=True)
        if fits
    }


def _listed(segmentation: list[Any]) -> Iterator[Any]:
    """Yield the polygons of a mask, also where it is one without a list around it."""
    first = segmentation[0]
    is_one = not isinstance(first, list | tuple | dict | np.ndarray) or (
        len(segmentation) >= 3 and all(_is_pair(one) for one in segmentation)
    )
    return iter([segmentation] if is_one else segmentation)


def _is_pair(value: Any) -> bool:
    if isinstance(value, dict):
        return {"x", "y"} <= value.keys()
    return isinstance(value, list | tuple) and len(value) == 2 and not isinstance(value[0], list)


def _corners(points: Any) -> np.ndarray:
    """Return the numbers of a polygon, (2n,).

    Raises:
        BrokenMaskError: If they are no numbers, no pairs, or not of this world.
    """
    if isinstance(points, list | tuple) and points and isinstance(points[0], dict):
        points = [(point.get("x"), point.get("y")) for point in points if isinstance(point, dict)]
    try:
        numbers = np.array(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        detail = f"one of its polygons is no list of numbers: {shown(points)}{_ADVICE}"
        raise BrokenMaskError(Kind.BROKEN_POLYGON, detail) from error
    is_list = numbers.ndim == 1 or (numbers.ndim == 2 and numbers.shape[1] == 2)
    if not is_list and numbers.size:
        detail = f"one of its polygons is no list of corners: {shown(points)}{_ADVICE}"
        raise BrokenMaskError(Kind.BROKEN_POLYGON, detail)
    numbers = numbers.ravel()
    problem = "which are no pairs" if len(numbers) % 2 else ""
    if not (np.abs(numbers) < FARTHEST).all():
        problem = "some of them not finite, or farther out than any image reaches"
    if problem:
        detail = f"one of its polygons has {len(numbers)} numbers, {problem}{_ADVICE}"
        raise BrokenMaskError(Kind.BROKEN_POLYGON, detail)
    return numbers


def _few(numbers: np.ndarray) -> str:
    return f"one of its polygons has {len(numbers)} numbers, where six are the least{_ADVICE}"


def _rle(segmentation: Any, size: tuple[int, int]) -> RLE:
    """Return run lengths, or pixels, as pycocotools takes them.

    Raises:
        ValueError: If they are neither, of another size, or do not fill the image exactly.
    """
    if isinstance(segmentation, np.ndarray):
        if segmentation.ndim != 2:
            raise ValueError(f"it must have two dimensions, got {segmentation.shape}")
        counts = coco_mask.encode(np.asfortranarray(segmentation != 0).astype(np.uint8))["counts"]
        segmentation = {"size": segmentation.shape, "counts": counts}
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise ValueError(
            "it is neither a list of polygons, nor RLE with size and counts, nor an array of pixels, "
            f"but {shown(segmentation)}"
        )
    claimed = segmentation.get("size")
    sides = [float(side) for side in (() if claimed is None else claimed)]
    if sides != list(map(float, size)):
        pixels = f"it has {sides[1]:g}x{sides[0]:g} pixels: " if len(sides) == 2 else ""
        raise ValueError(
            f"{pixels}its size is {shown(claimed)}, the image's [height, width] {list(size)}"
        )
    counts = segmentation["counts"]
    if isinstance(counts, str) and " " in counts.strip():
        raise ValueError(
            "its counts are text of starts and lengths; write COCO's run lengths, which alternate "
            "between 0 and 1 down the columns"
        )
    if isinstance(counts, list | tuple):
        numbers = np.array(counts, dtype=np.float64)
        if numbers.ndim != 1 or not (numbers == np.floor(numbers)).all():
            raise ValueError("its counts are no whole numbers")
        counts = numbers.astype(np.int64).tolist()
    elif not isinstance(counts, str | bytes):
        raise ValueError(f"its counts are {shown(counts)}")
    rle = as_compressed({"size": list(size), "counts": counts})
    text = rle["counts"]
    return {"size": list(size), "counts": text.decode() if isinstance(text, bytes) else text}
