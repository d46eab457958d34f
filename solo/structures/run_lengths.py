"""Found instances as run lengths: taken, placed in a larger image, and made into instances again.

Legend: n instances, h, w size of a mask, H, W size of the image it lies in.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.structures import Boxes, Instances
from pycocotools import mask as coco_mask

from solo.layers.masks import encode_masks
from solo.layers.output import Part, run_lengths

RLE = dict[str, Any]


def rles_of(instances: Instances) -> list[RLE]:
    """Return the masks of predictions as COCO's RLE dicts, whatever they are kept in."""
    if instances.has("pred_rles"):
        return instances.pred_rles
    return encode_masks(instances.pred_masks)


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
