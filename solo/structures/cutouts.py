"""Instances, as predicted or annotated, turned into small crops that are cheap to draw and compare.

H, W: the picture's size in pixels. h, w: the size of one instance's crop.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pycocotools.mask as mask_util
from detectron2.structures import BitMasks, Boxes, Instances, PolygonMasks, polygons_to_bitmask

from solo.structures.box import Box
from solo.structures.instances import are_boxes
from solo.structures.run_lengths import whole_boxes


class Cutout(NamedTuple):
    """One instance, cut out: the smallest crop of the picture that holds its mask."""

    mask: np.ndarray  # (h, w) uint8, 0 or 1
    left: int
    top: int
    row: int  # in the Instances it comes from
    category: int
    score: float | None  # None: an annotation
    is_box: bool = False  # whether no mask is known: all of the crop is set

    @property
    def box(self) -> Box:
        """The bounds of the mask."""
        height, width = self.mask.shape
        return Box(self.left, self.top, self.left + width, self.top + height)


def get_cutouts(
    instances: Instances, *, threshold: float = 0, size: tuple[int, int] | None = None
) -> list[Cutout]:
    """Cut the instances of one picture out of it.

    Args:
        instances: Predictions with `pred_masks` (n, H, W) or `pred_rles` (n COCO RLE dicts),
            `pred_classes` and `scores`; or annotations with `gt_masks` and `gt_classes`. Without masks their
            `pred_boxes` or `gt_boxes` are cut out.
        threshold: Probability below which a prediction is left out. Annotations have no score.
        size: (height, width) in pixels to which the masks are scaled. None: as they are.

    Returns:
        The instances that have any pixel, in their order.

    Raises:
        ValueError: The instances hold neither masks nor boxes.
    """
    cut = _cut_boxes if are_boxes(instances) else _cut_masks
    predicted = instances.has("pred_classes")
    categories = (instances.pred_classes if predicted else instances.gt_classes).tolist()
    scores = instances.scores.tolist() if instances.has("scores") else [None] * len(categories)

    shown = [row for row, score in enumerate(scores) if score is None or score >= threshold]
    return [
        Cutout(crop, left, top, row, categories[row], scores[row], cut is _cut_boxes)
        for row, crop, left, top in cut(instances, shown, size)
    ]


def _cut_masks(
    instances: Instances, rows: Sequence[int], size: tuple[int, int] | None
) -> Iterator[tuple[int, np.ndarray, int, int]]:
    """Yield of those rows that have a pixel their crop, and where it lies: left and top."""
    read_mask = mask_reader(instances)
    for row in rows:
        mask = _resize_mask(np.ascontiguousarray(read_mask(row), dtype=np.uint8), size)
        left, top, width, height = cv2.boundingRect(mask)
        if width and height:
            # A copy, so that the full-size mask can go: a hundred of them are large.
            yield row, mask[top : top + height, left : left + width].copy(), left, top


def _cut_boxes(
    instances: Instances, rows: Sequence[int], size: tuple[int, int] | None
) -> Iterator[tuple[int, np.ndarray, int, int]]:
    """Yield the same of instances without masks, whose crops are whole boxes."""
    boxes = _boxes(instances).tensor.detach().cpu().numpy()
    given = instances.image_size
    size = size or given
    scale = np.tile([size[1] / given[1], size[0] / given[0]], 2)
    whole = whole_boxes(boxes * scale, size)
    outside = (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, :2] >= given[::-1]).any(axis=1)
    for row in rows:
        if outside[row]:
            continue
        left, top, right, bottom = whole[row].tolist()
        yield row, np.ones((bottom - top, right - left), dtype=np.uint8), left, top


def _boxes(instances: Instances) -> Boxes:
    """Return the boxes of predictions or annotations."""
    fields = instances.get_fields()
    boxes: Boxes = fields.get("pred_boxes", fields.get("gt_boxes"))
    return boxes


def mask_reader(instances: Instances) -> Callable[[int], np.ndarray]:
    """Return a function that gives the (H, W) mask of one row, whatever the masks are kept in.

    Raises:
        ValueError: The instances hold no masks.
    """
    if instances.has("pred_rles"):
        return lambda index: mask_util.decode(instances.pred_rles[index])
    fields = instances.get_fields()
    masks = fields.get("pred_masks", fields.get("gt_masks"))
    if masks is None:
        raise ValueError(
            f"Instances with the fields {sorted(fields)} have no masks to draw: "
            "give pred_masks, pred_rles or gt_masks."
        )
    if isinstance(masks, PolygonMasks):
        return lambda index: polygons_to_bitmask(masks.polygons[index], *instances.image_size)
    if isinstance(masks, BitMasks):
        masks = masks.tensor
    return lambda index: masks[index].detach().cpu().numpy()


def _resize_mask(mask: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    if size is None or mask.shape == size:
        return mask
    # Linear, then cut at a half: an enlarged mask gets a smooth outline, not stairs.
    soft = cv2.resize(mask * np.uint8(255), size[::-1], interpolation=cv2.INTER_LINEAR)
    return (soft > 127).astype(np.uint8)
