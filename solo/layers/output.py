"""From soft masks over the network's input to binary masks, run lengths and boxes of the image.

Both bilinear steps, to the padded input and from there, cropped, to the image, are linear and separable:
along each axis, a pixel of the image is a sum of a few of the soft mask. Where no pixel of a soft mask exceeds
the threshold, nothing of the result does; so a small object costs what its own box costs, and no mask of the
image's size is made for run lengths. On CPUs all that is NumPy's and OpenCV's in the caller's own thread: what is
this small waits longer for a second thread than that helps.

Legend: n masks, h, w soft mask size, H, W image size, r, c rows and columns of a part of the image.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from pycocotools import mask as coco_mask
from torch import Tensor

from solo.layers.masks import masks_to_boxes, resize_soft_masks
from solo.layers.separable import resizing_axis, weighted_sums
from solo.layers.stages import stage
from solo.structures.image_size import ImageSize
from solo.structures.run_lengths import RLE, Part, encode_masks, run_lengths

# Pixels of soft masks, counted before and after resizing, resized at a time (128 MB).
_PIXELS_AT_A_TIME = 1 << 25
# Devices where one mask after the other, as large as its object, is faster than all at once.
_DEVICES_OF_PARTS = ("cpu",)
# Share of the image from which on a resize of all of it is faster.
_LARGE = 1 / 3


def binary_masks(soft_masks: Tensor, size: ImageSize, threshold: float) -> tuple[Tensor, Tensor]:
    """Resize soft masks to the image and binarise them.

    Args:
        soft_masks: (n, h, w) probabilities over the padded input.
        size: The frames of the image.
        threshold: Probability above which a pixel belongs to the mask.

    Returns:
        masks: (n, H, W) bool, on the device of the soft masks.
        boxes: (n, 4) float32 XYXY, the far edge exclusive; zeros for an empty mask.
    """
    if soft_masks.device.type not in _DEVICES_OF_PARTS:
        chunks = list(resized_masks(soft_masks, size, threshold))
        return torch.cat(chunks), torch.cat([masks_to_boxes(chunk) for chunk in chunks])
    # NumPy's zeros cost nothing where nothing is written.
    masks = np.zeros((len(soft_masks), *size.original), dtype=bool)
    boxes = np.zeros((len(soft_masks), 4), dtype=np.float32)
    for index, part in enumerate(_parts(soft_masks.numpy(), size, threshold)):
        columns, rows = part.columns.shape
        place = masks[index, part.top : part.top + rows, part.left : part.left + columns]
        place[...] = part.columns.T
        boxes[index] = _box(part)
    return torch.from_numpy(masks), torch.from_numpy(boxes)


def encoded_masks(
    soft_masks: Tensor, size: ImageSize, threshold: float
) -> tuple[list[RLE], Tensor]:
    """Resize soft masks to the image and encode them, without masks of its size on CPUs.

    Args:
        soft_masks: See `binary_masks`, as for the rest.
        size: The frames of the image.
        threshold: Probability above which a pixel belongs to the mask.

    Returns:
        rles: n of COCO's RLE dicts, `counts` being bytes.
        boxes: (n, 4) float32.
    """
    if soft_masks.device.type not in _DEVICES_OF_PARTS:
        rles, chunks_boxes = [], []
        for chunk in resized_masks(soft_masks, size, threshold):
            with stage("RLE"):
                rles += encode_masks(chunk)
            chunks_boxes.append(masks_to_boxes(chunk))
        return rles, torch.cat(chunks_boxes)
    counts, boxes = [], np.zeros((len(soft_masks), 4), dtype=np.float32)
    for index, part in enumerate(_parts(soft_masks.numpy(), size, threshold)):
        with stage("RLE"):
            lengths = run_lengths(part, size.original)
        counts.append({"size": list(size.original), "counts": lengths})
        boxes[index] = _box(part)
    with stage("RLE"):
        rles = coco_mask.frPyObjects(counts, *size.original) if counts else []
    return rles, torch.from_numpy(boxes)


def resized_masks(soft_masks: Tensor, size: ImageSize, threshold: float) -> Iterator[Tensor]:
    """Yield the binary masks at the original size, a bounded number at a time, at least once.

    Two bilinear steps, to the padded input and, cropped, to the original: published results were
    made so, and one step gives other borders.

    Args:
        soft_masks: (n, h, w) probabilities over the padded input.
        size: The frames of the image.
        threshold: Probability above which a pixel belongs to the mask.

    Yields:
        (m, H, W) bool.
    """
    pixels = sum(height * width for height, width in (size.padded, size.original))
    height, width = size.resized
    for chunk in soft_masks.split(max(_PIXELS_AT_A_TIME // pixels, 1)):
        if len(chunk) == 0:
            yield chunk.new_zeros((0, *size.original), dtype=torch.bool)
            continue
        chunk = resize_soft_masks(chunk, size.padded)[:, :height, :width]
        yield resize_soft_masks(chunk, size.original) > threshold


def _parts(soft_masks: np.ndarray, size: ImageSize, threshold: float) -> Iterator[Part]:
    """Yield what each soft mask covers of the image."""
    height, width = size.original
    rows, columns = (
        resizing_axis(
            soft_masks.shape[axis + 1], size.padded[axis], size.resized[axis], size.original[axis]
        )
        for axis in (0, 1)
    )
    for soft in soft_masks:
        left, top, across, down = cv2.boundingRect((soft > threshold).view(np.uint8))
        y0, y1 = (rows.reach[0, top], rows.reach[1, top + down - 1]) if down else (0, 0)
        x0, x1 = (columns.reach[0, left], columns.reach[1, left + across - 1]) if across else (0, 0)
        if (y1 - y0) * (x1 - x0) > _LARGE * height * width:
            yield Part(0, 0, _resize_all(soft, size) > threshold)
        elif y0 < y1 and x0 < x1:
            from_rows, *row_sums = rows.part(y0, y1)
            from_columns, *column_sums = columns.part(x0, x1)
            values = weighted_sums(soft[from_rows, from_columns], *row_sums)
            values = weighted_sums(np.ascontiguousarray(values.T), *column_sums)
            yield Part(y0, x0, values > threshold)
        else:
            yield Part(0, 0, np.zeros((0, 0), dtype=bool))


def _resize_all(soft: np.ndarray, size: ImageSize) -> np.ndarray:
    """Resize one (h, w) soft mask to the image, (W, H): by columns."""
    height, width = size.padded
    columns = cv2.resize(np.ascontiguousarray(soft.T), (height, width))
    height, width = size.resized
    columns = np.ascontiguousarray(columns[:width, :height])
    return cv2.resize(columns, size.original)


def _box(part: Part) -> tuple[int, int, int, int]:
    """Return the bounds of a part, x0, y0, x1, y1; zeros if it is empty."""
    columns, rows = part.columns.any(axis=1).nonzero()[0], part.columns.any(axis=0).nonzero()[0]
    if len(columns) == 0:
        return 0, 0, 0, 0
    left, top = part.left, part.top
    return left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
