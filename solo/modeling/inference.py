"""From category probabilities to instances: candidates, masks, suppression, resizing.

Memory is bounded: masks are decoded a chunk at a time, kept as one byte a pixel at a quarter of the
input size until the suppression has chosen, and resized to the image a few at a time.

Legend: n candidates or instances, C cells of all levels, K classes, h, w soft mask size, H, W size
of the original image.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from detectron2.structures import Boxes, Instances
from torch import Tensor

from solo.layers.masks import encode_masks, masks_to_boxes, resize_soft_masks
from solo.layers.nms import mask_nms, matrix_nms, points_nms
from solo.modeling.grids import Grids

Decoder = Callable[[Tensor], Tensor]
"""Turns (n,) cells of one image into their (n, h, w) soft masks."""

# Pixels of soft masks, counted before and after resizing, resized at a time (128 MB).
_PIXELS_AT_A_TIME = 1 << 25


class ImageSize(NamedTuple):
    """The three frames an image goes through, each (height, width) in pixels."""

    padded: tuple[int, int]
    resized: tuple[int, int]
    original: tuple[int, int]


class Candidates(NamedTuple):
    """Cells that may hold an instance; empty ones have the same types.

    Attributes:
        cells: (n,) cell numbers.
        classes: (n,) int64.
        scores: (n,) float32.
    """

    cells: Tensor
    classes: Tensor
    scores: Tensor

    def take(self, index: Tensor) -> "Candidates":
        """Select some of them."""
        return Candidates(*(field[index] for field in self))


@dataclass(frozen=True, kw_only=True)
class InstanceFinder:
    """The test procedure. The attributes are the keys of MODEL.SOLO.TEST, explained in config.py.

    Attributes:
        grids: The cells of all levels.
        strides: Per level, the stride: a mask of no more pixels than that is dropped.

    Source:
        SOLOv2 section 3.3 and its official test procedure.
    """

    grids: Grids
    strides: tuple[int, ...]
    score_thresh: float
    max_candidates: int
    chunk_size: int
    mask_thresh: float
    pre_nms_topk: int
    nms: str
    nms_kernel: str
    nms_sigma: float
    nms_iou_thresh: float
    class_agnostic: bool
    update_thresh: float
    max_instances: int
    mask_format: str

    def __post_init__(self) -> None:
        """Refuse names that mean nothing."""
        if self.nms not in ("matrix", "mask"):
            raise ValueError(f"NMS is {self.nms!r}; use 'matrix' or 'mask'.")
        if self.mask_format not in ("bitmask", "rle"):
            raise ValueError(f"MASK_FORMAT is {self.mask_format!r}; use 'bitmask' or 'rle'.")

    @torch.no_grad()
    def __call__(self, probabilities: Tensor, decode: Decoder, size: ImageSize) -> Instances:
        """Find the instances of one image.

        Args:
            probabilities: (C, K), after points NMS.
            decode: Gives the soft masks of cells.
            size: The frames of the image.

        Returns:
            Instances of the original size in descending order of score, with pred_boxes (the bounds
            of the masks), scores, pred_classes, and pred_masks or pred_rles.
        """
        candidates = self.candidates(probabilities)
        candidates, masks, areas = self._rescore(candidates, decode)
        candidates = self._suppress(candidates, masks, areas)
        soft_masks = decode(candidates.cells)
        return self._to_instances(candidates, soft_masks, size)

    def candidates(self, probabilities: Tensor) -> Candidates:
        """Take each (cell, class) above the threshold, at most `max_candidates`, in cell order."""
        cells, classes = (probabilities > self.score_thresh).nonzero(as_tuple=True)
        found = Candidates(cells, classes, probabilities[cells, classes])
        if len(cells) <= self.max_candidates:
            return found
        best = found.scores.topk(self.max_candidates).indices
        return found.take(best.sort().values)

    def _rescore(
        self, candidates: Candidates, decode: Decoder
    ) -> tuple[Candidates, Tensor, Tensor]:
        """Multiply the scores by the maskness; drop specks; keep the best `pre_nms_topk`.

        Returns:
            The candidates in descending order of score, their (n, h, w) bool masks, their areas.
        """
        masks, areas, maskness = self._measure(candidates.cells, decode)
        strides = areas.new_tensor(self.strides)[self.grids.levels_of(candidates.cells)]
        scores = torch.where(areas > strides, candidates.scores * maskness, -1)
        order = scores.argsort(descending=True, stable=True)[: self.pre_nms_topk]
        order = order[scores[order] >= 0]
        return candidates._replace(scores=scores).take(order), masks[order], areas[order]

    def _measure(self, cells: Tensor, decode: Decoder) -> tuple[Tensor, Tensor, Tensor]:
        """Return masks (n, h, w) bool, areas (n,) int64 and mean probabilities inside them (n,)."""
        parts = []
        for chunk in cells.split(self.chunk_size):
            soft = decode(chunk)
            hard = soft > self.mask_thresh
            area = hard.sum(dim=(1, 2))
            inside = (soft * hard).sum(dim=(1, 2))
            parts.append((hard, area, inside / area.clamp(min=1)))
        masks, areas, maskness = zip(*parts, strict=True)
        return torch.cat(masks), torch.cat(areas), torch.cat(maskness)

    def _suppress(self, candidates: Candidates, masks: Tensor, areas: Tensor) -> Candidates:
        """Suppress what was found twice and keep the best `max_instances`."""
        classes, scores = candidates.classes, candidates.scores
        if self.class_agnostic:
            classes = torch.zeros_like(classes)
        if self.nms == "mask":
            kept = mask_nms(masks, classes, areas, iou_thresh=self.nms_iou_thresh)
            scores = torch.where(kept, scores, -1)
        else:
            scores = matrix_nms(
                masks, classes, scores, areas, kernel=self.nms_kernel, sigma=self.nms_sigma
            )
        order = scores.argsort(descending=True, stable=True)[: self.max_instances]
        order = order[scores[order] >= max(self.update_thresh, 0)]
        return candidates._replace(scores=scores).take(order)

    def _to_instances(
        self, candidates: Candidates, soft_masks: Tensor, size: ImageSize
    ) -> Instances:
        """Resize the masks to the original image and take their boxes."""
        boxes, masks, rles = [], [], []
        for chunk in resized_masks(soft_masks, size, self.mask_thresh):
            boxes.append(masks_to_boxes(chunk))
            if self.mask_format == "rle":
                rles += encode_masks(chunk)
            else:
                masks.append(chunk)
        instances = Instances(size.original)
        instances.pred_boxes = Boxes(torch.cat(boxes))
        instances.scores = candidates.scores
        instances.pred_classes = candidates.classes
        if self.mask_format == "rle":
            instances.pred_rles = rles
        else:
            instances.pred_masks = torch.cat(masks)
        return instances


def cell_probabilities(category_logits: list[Tensor]) -> Tensor:
    """Turn the logits of each level, (N, K, S, S), into what survives points NMS, (N, C, K)."""
    levels = [points_nms(logits.float().sigmoid()) for logits in category_logits]
    return torch.cat([level.flatten(2) for level in levels], dim=2).mT


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
