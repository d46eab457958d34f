"""Masks as COCO's run lengths: made, checked, placed in a larger image, and made into instances.

Legend: n instances, h, w size of a mask, H, W size of the image it lies in.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.structures import Boxes, Instances
from pycocotools import mask as coco_mask
from torch import Tensor

from solo.errors import UserError

RLE = dict[str, Any]
"""A mask as COCO has it: `size`, [height, width], and `counts`, the lengths of its runs."""

# Pixels of masks encoded at a time (32 MB).
_PIXELS_AT_A_TIME = 1 << 25
# Characters of five bits that a run takes at most: it has 32 bits in pycocotools.
_MOST_CHARACTERS = 7


class Part(NamedTuple):
    """What a mask covers of the image.

    Attributes:
        top: First row of the image.
        left: First column.
        columns: (c, r) bool, by columns, as run lengths are.
    """

    top: int
    left: int
    columns: np.ndarray


def run_lengths(part: Part, size: tuple[int, int]) -> np.ndarray:
    """Return the lengths of the runs of 0 and 1 down the columns of the image, first of 0."""
    height, width = size
    pixels = part.columns
    columns, rows = pixels.shape
    if rows < height:
        # A zero below each column ends its last run; in whole columns runs may go on in the next.
        pixels = np.zeros((columns, rows + 1), dtype=bool)
        pixels[:, :rows] = part.columns
    changes = np.flatnonzero(np.diff(pixels.reshape(-1), prepend=False, append=False))
    column, row = np.divmod(changes, pixels.shape[1])
    changes = (part.left + column) * height + part.top + row
    lengths = np.diff(changes, prepend=0, append=height * width)
    return lengths[:-1] if lengths[-1] == 0 else lengths


def parse_counts(counts: str | bytes) -> np.ndarray:
    """Return the lengths of the runs of compressed counts, of zeros first, int64.

    From the fourth on, the numbers of counts are differences to the last but one.

    Raises:
        UserError: If they end within a number, or one has too many characters.
    """
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    lengths, characters = _numbers(text)
    if characters.sum() < len(text):
        raise UserError("its counts are cut off")
    if characters.max(initial=0) > _MOST_CHARACTERS:
        raise UserError("its counts hold a number that no image is large enough for")
    for first in (1, 2):
        lengths[first::2] = lengths[first::2].cumsum()
    return lengths


def which_fill(texts: Sequence[bytes], areas: Sequence[int]) -> np.ndarray:
    """Tell which compressed counts are whole and fill their masks exactly, of many at once.

    Args:
        texts: n counts, each as :func:`parse_counts` takes them.
        areas: n numbers of pixels, each of a whole mask.

    Returns:
        (n,) bool.
    """
    fitting = np.zeros(len(texts), dtype=bool)
    whole = [i for i, text in enumerate(texts) if text and not (text[-1] - 48) & 0x20]
    if not whole:
        return fitting
    lengths, characters = _numbers(b"".join(texts[i] for i in whole))
    # The first run of each text, and the place of every run in its own.
    ends = np.cumsum([len(texts[i]) for i in whole])
    first = np.searchsorted(np.cumsum(characters), np.concatenate([[0], ends[:-1]]), side="right")
    place = np.arange(len(lengths)) - first.repeat(np.diff(first, append=len(lengths)))
    for begin in (1, 2):
        # Differences to the last but one, summed up anew from the begin of each text.
        chain = ((place >= begin) & ((place - begin) % 2 == 0)).nonzero()[0]
        sums = lengths[chain].cumsum()
        begins = np.where(place[chain] == begin, np.arange(len(chain)), 0)
        last = np.maximum.accumulate(begins)
        lengths[chain] = sums - (sums - lengths[chain])[last]
    wrong = np.logical_or.reduceat((characters > _MOST_CHARACTERS) | (lengths < 0), first)
    total = np.add.reduceat(lengths, first)
    fitting[whole] = ~wrong & (total == [areas[i] for i in whole])
    return fitting


def _numbers(text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of counts, int64, before sums are made of them, and the characters of each.

    A character holds five bits of a number, the lowest first, and one that says whether more
    follow; the last holds the sign. Characters after the last whole number are left out.
    """
    codes = np.frombuffer(text, dtype=np.uint8).astype(np.int64) - 48
    ends = (codes & 0x20 == 0).nonzero()[0]
    starts = np.zeros_like(ends)
    starts[1:] = ends[:-1] + 1
    characters = ends - starts + 1
    digits = codes & 0x1F
    digits[ends] -= 2 * (codes[ends] & 0x10)
    # Numbers of too many characters are wrong, whatever they are.
    places = np.minimum(np.arange(characters.sum()) - starts.repeat(characters), _MOST_CHARACTERS)
    shifted = digits[: len(places)] << 5 * places
    return (np.add.reduceat(shifted, starts) if len(starts) else ends), characters


def as_compressed(rle: RLE) -> RLE:
    """Return a mask as pycocotools takes it; its counts may be a list of numbers.

    pycocotools leaves what the runs do not reach as it was in memory.

    Raises:
        UserError: If its runs do not fill its size exactly.
    """
    counts, (height, width) = rle["counts"], rle["size"]
    is_list = isinstance(counts, list)
    lengths = np.array(counts) if is_list else parse_counts(counts)
    if lengths.sum() != height * width or lengths.min(initial=0) < 0:
        raise UserError(f"its RLE counts do not add up to {height} x {width} pixels")
    return coco_mask.frPyObjects(rle, height, width) if is_list else rle


def encode_masks(masks: Tensor) -> list[RLE]:
    """Encode (M, H, W) bool masks, on any device, as COCO's RLE dicts, `counts` being bytes."""
    rles = []
    count = max(_PIXELS_AT_A_TIME // max(masks.shape[1] * masks.shape[2], 1), 1)
    for chunk in masks.split(count) if len(masks) else ():
        # Runs go down the columns: pycocotools wants (H, W, M) in Fortran order, which is the
        # transpose of a contiguous (M, W, H).
        columns = chunk.to(torch.uint8).transpose(1, 2).contiguous().cpu().numpy()
        rles += coco_mask.encode(columns.T)
    return rles


def rles_of(instances: Instances) -> list[RLE]:
    """Return the masks of predictions as COCO's RLE dicts, whatever they are kept in; of boxes alone their pixels."""
    if instances.has("pred_rles"):
        return instances.pred_rles
    if not instances.has("pred_masks"):
        return rles_of_boxes(instances.pred_boxes.tensor, instances.image_size)
    return encode_masks(instances.pred_masks)


def rles_of_boxes(boxes: Tensor, size: tuple[int, int]) -> list[RLE]:
    """Return boxes, rounded to whole pixels, as masks.

    Args:
        boxes: (n, 4) XYXY in pixels, on any device.
        size: (H, W) of the image.
    """
    rles = []
    for left, top, right, bottom in whole_boxes(boxes.detach().cpu().numpy(), size).tolist():
        pixels = np.ones((bottom - top, right - left), dtype=bool)
        rles.append(place_mask(pixels, (top, left), size))
    return rles


def whole_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return boxes of whole pixels, (n, 4) int64 XYXY: rounded, within an image of (H, W), and of a pixel at least."""
    height, width = size
    limits = np.array([width, height])
    corners = np.rint(boxes.reshape(-1, 2, 2)).astype(np.int64)
    least = np.clip(corners[:, 0], 0, limits - 1)
    most = np.clip(corners[:, 1], least + 1, limits)
    return np.concatenate([least, most], axis=1)


def boxes_of(rles: Sequence[RLE]) -> np.ndarray:
    """Return the tight boxes of masks, (n, 4) int64 XYXY, the far edge exclusive."""
    if not rles:
        return np.zeros((0, 4), dtype=np.int64)
    boxes = coco_mask.toBbox(list(rles)).astype(np.int64)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def decode_box(rle: RLE, box: Sequence[int]) -> np.ndarray:
    """Return the part of a mask inside a box (x0, y0, x1, y1), (h, w) uint8."""
    left, top, right, bottom = box
    return coco_mask.decode(rle)[top:bottom, left:right]


def place_mask(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> RLE:
    """Encode a mask that lies in a larger image, without a mask of that image's size.

    Args:
        mask: (h, w) bool.
        corner: Row and column of the image where its first pixel lies.
        size: (H, W) of the image.
    """
    lengths = run_lengths(Part(*corner, np.ascontiguousarray(mask.T)), size)
    return coco_mask.frPyObjects({"size": list(size), "counts": lengths}, *size)


def place_rle(rle: RLE, corner: tuple[int, int], size: tuple[int, int]) -> RLE:
    """Move an encoded mask into a larger image; see `place_mask`."""
    box = boxes_of([rle])[0]
    mask = decode_box(rle, box).astype(bool)
    return place_mask(mask, (corner[0] + int(box[1]), corner[1] + int(box[0])), size)


def make_instances(
    rles: Sequence[RLE],
    scores: Sequence[float],
    classes: Sequence[int],
    *,
    size: tuple[int, int],
    mask_format: str,
    max_instances: int,
    device: torch.device | str = "cpu",
) -> Instances:
    """Make instances of run lengths, the best first.

    Args:
        rles: n masks of the image's size.
        scores: n of them.
        classes: n of them.
        size: (H, W) of the image.
        mask_format: "bitmask" or "rle", as MODEL.SOLO.TEST.MASK_FORMAT.
        max_instances: The best so many are kept.
        device: Where the tensors live.

    Returns:
        Instances with pred_boxes, the bounds of the masks, scores, pred_classes, and pred_masks or
        pred_rles.
    """
    values = torch.tensor(list(scores), dtype=torch.float32)
    order = values.argsort(descending=True, stable=True)[:max_instances]
    chosen = [rles[index] for index in order.tolist()]
    boxes = boxes_of(chosen)
    instances = Instances(size)
    if mask_format == "rle":
        instances.pred_rles = chosen
    else:
        instances.pred_masks = torch.from_numpy(_decode(chosen, boxes, size)).to(device)
    instances.pred_boxes = Boxes(torch.from_numpy(boxes).float().to(device))
    instances.scores = values[order].to(device)
    instances.pred_classes = torch.tensor(list(classes), dtype=torch.int64)[order].to(device)
    return instances


def _decode(rles: Sequence[RLE], boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (n, H, W) bool masks, written only where there is something."""
    masks = np.zeros((len(rles), *size), dtype=bool)
    for mask, rle, box in zip(masks, rles, boxes.tolist(), strict=True):
        left, top, right, bottom = box
        mask[top:bottom, left:right] = decode_box(rle, box)
    return masks
