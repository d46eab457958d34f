"""From category probabilities to instances: candidates, masks, suppression, resizing.

Memory is bounded: masks are decoded a chunk at a time and kept as one byte a pixel, at a quarter of the
input size, until the suppression has chosen.

Legend: n candidates or instances, C cells of all levels, K classes, h, w soft mask size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances
from torch import Tensor
from torch.nn import functional as F

from solo.config.choices import NMS, Intersections, MaskFormat, NMSKernel, choose
from solo.errors import UserError
from solo.layers import cpu
from solo.layers.masks import count_pixels
from solo.layers.nms import mask_nms, matrix_nms, points_nms
from solo.layers.output import binary_masks, encoded_masks
from solo.layers.overlaps import mask_ious
from solo.layers.stages import stage
from solo.layers.transfer import to_device, to_host
from solo.modeling.candidates import Candidates, Decoder, survivors
from solo.modeling.grids import Grids
from solo.structures.image_size import ImageSize


@dataclass(frozen=True, kw_only=True)
class PostProcessor:
    """The test procedure. The attributes are the keys of MODEL.SOLO.TEST, explained in config/defaults.py.

    Attributes:
        grids: The cells of all levels.
        strides: Per level, the stride: a mask of no more pixels than that is dropped.
        max_instances: TEST.DETECTIONS_PER_IMAGE.
        quality_exponent: MODEL.SOLO.QUALITY.EXPONENT.
        intersections: MODEL.CPU.INTERSECTIONS.

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
    nms: NMS
    nms_kernel: NMSKernel
    nms_sigma: float
    nms_iou_thresh: float
    class_agnostic: bool
    update_thresh: float
    max_instances: int
    mask_format: MaskFormat
    intersections: Intersections = Intersections.AUTO
    quality_exponent: float = 1.0
    labels_per_cell: int = 0

    def __post_init__(self) -> None:
        """Refuse words and numbers that mean nothing."""
        choose(NMS, self.nms, "MODEL.SOLO.TEST.NMS")
        choose(NMSKernel, self.nms_kernel, "MODEL.SOLO.TEST.NMS_KERNEL")
        choose(MaskFormat, self.mask_format, "MODEL.SOLO.TEST.MASK_FORMAT")
        if self.labels_per_cell < 0:
            raise UserError(
                f"MODEL.SOLO.TEST.LABELS_PER_CELL is {self.labels_per_cell}; give classes of a cell, or 0 for all."
            )
        if self.quality_exponent < 0:
            raise UserError(
                f"MODEL.SOLO.QUALITY.EXPONENT is {self.quality_exponent}; give 0 or more: good masks are to gain."
            )

    @classmethod
    def from_config(cls, cfg: CfgNode, grids: Grids, strides: tuple[int, ...]) -> "PostProcessor":
        """Read MODEL.SOLO.TEST.

        Raises:
            UserError: If a key has none of its words, or a number that means nothing.
        """
        return cls(
            grids=grids,
            strides=strides,
            max_instances=cfg.TEST.DETECTIONS_PER_IMAGE,
            intersections=cpu.intersection_kernel(cfg.MODEL.CPU.INTERSECTIONS),
            quality_exponent=cfg.MODEL.SOLO.QUALITY.EXPONENT,
            **{key.lower(): value for key, value in cfg.MODEL.SOLO.TEST.items()},
        )

    @torch.no_grad()
    def __call__(
        self,
        probabilities: Tensor,
        decode: Decoder,
        size: ImageSize,
        decode_there: Decoder | None = None,
    ) -> Instances:
        """Find the instances of one image.

        Args:
            probabilities: (C, K), of :meth:`probabilities`.
            decode: Gives the soft masks of cells.
            size: The frames of the image.
            decode_there: Does so of cells that are on the device, which is waited for once then; see
                `survivors`.

        Returns:
            Instances of the original size in descending order of score, with pred_boxes (the bounds
            of the masks), scores, pred_classes, and pred_masks or pred_rles.
        """
        candidates = survivors(self, probabilities, decode_there) if decode_there else None
        if candidates is None:
            candidates, ious = self.measure(self.candidates(probabilities), decode)
            candidates = self.suppress(candidates, ious)
        with stage("masks"):
            soft_masks = decode(candidates.cells)
        return self.to_instances(candidates, soft_masks, size)

    def probabilities(
        self, category_logits: list[Tensor], quality_logits: Sequence[Tensor] = ()
    ) -> Tensor:
        """Turn the logits of each level into (N, C, K) probabilities; see `cell_probabilities`."""
        return cell_probabilities(
            category_logits,
            quality_logits,
            quality_exponent=self.quality_exponent,
            labels_per_cell=self.labels_per_cell,
        )

    @stage("candidates")
    def candidates(self, probabilities: Tensor) -> Candidates:
        """Take each (cell, class) above the threshold, at most `max_candidates`, in cell order."""
        # A byte a cell and class: to wait for the number of them, and then for them, is no faster.
        above = to_host(probabilities > self.score_thresh)
        where = above.nonzero().t().contiguous()
        cells, classes = where
        scores = probabilities[tuple(to_device(where, probabilities.device))]
        found = Candidates(cells, classes, scores)
        if len(cells) <= self.max_candidates:
            return found
        best = found.scores.topk(self.max_candidates).indices
        return found.take(to_host(best.sort().values))

    @stage("masks")
    def measure(self, candidates: Candidates, decode: Decoder) -> tuple[Candidates, Tensor]:
        """Multiply the scores by the maskness; drop specks; keep the best `pre_nms_topk`.

        No more than `pre_nms_topk` masks are kept, as one byte a pixel; where there are more
        candidates, those of the best are decoded again.

        Returns:
            The candidates in descending order of score, and the (n, n) IoU of their masks.
        """
        keep_masks = len(candidates.cells) <= self.pre_nms_topk
        device = candidates.scores.device
        masks, areas, maskness = self.decode_masks(candidates.cells, decode, keep_masks, device)
        is_large = areas > to_device(self.least_areas(candidates.cells), device)
        scores = torch.where(is_large, candidates.scores * maskness, -1)
        order = _best(scores, self.pre_nms_topk, 0)
        best = candidates._replace(scores=scores).take(order)
        if keep_masks:
            # Sorting the small matrix instead of the masks saves a copy of these.
            order = to_device(order, device)
            return best, mask_ious(masks, self.intersections)[order][:, order]
        masks, *_ = self.decode_masks(best.cells, decode, True, device)
        return best, mask_ious(masks, self.intersections)

    def least_areas(self, cells: Tensor) -> Tensor:
        """Return the pixels that a mask of each cell, on the CPU, has to exceed: (n,) -> (n,) int64."""
        return torch.tensor(self.strides)[self.grids.levels_of(cells)]

    def decode_masks(
        self, cells: Tensor, decode: Decoder, keep_masks: bool, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Decode a chunk at a time.

        Returns:
            masks (n, h, w) bool, empty unless wanted; areas (n,) int64; mean probabilities inside
            the masks (n,).
        """
        masks = torch.zeros(0, 1, 1, dtype=torch.bool, device=device)
        areas = torch.zeros(len(cells), dtype=torch.int64, device=device)
        maskness = torch.zeros(len(cells), device=device)
        for start in range(0, len(cells), self.chunk_size):
            chunk = slice(start, start + self.chunk_size)
            soft = decode(cells[chunk])
            if not len(masks):
                count = len(cells) if keep_masks else min(len(cells), self.chunk_size)
                masks = torch.empty(count, *soft.shape[1:], dtype=torch.bool, device=device)
            hard = masks[chunk] if keep_masks else masks[: len(soft)]
            torch.gt(soft, self.mask_thresh, out=hard)
            areas[chunk] = count_pixels(hard)[1].sum(dim=1)
            inside = F.threshold(soft, self.mask_thresh, 0, inplace=True).sum(dim=(1, 2))
            maskness[chunk] = inside / areas[chunk].clamp(min=1)
        return masks, areas, maskness

    @stage("NMS")
    def suppress(self, candidates: Candidates, ious: Tensor) -> Candidates:
        """Suppress what was found twice and keep the best `max_instances`."""
        scores = candidates.scores
        scores = self.suppressed(scores, to_device(candidates.classes, scores.device), ious)
        order = _best(scores, self.max_instances, max(self.update_thresh, 0))
        return candidates._replace(scores=scores).take(order)

    def suppressed(self, scores: Tensor, classes: Tensor, ious: Tensor) -> Tensor:
        """Return the scores, (n,), that suppression gives to candidates in descending order, with their (n, n) IoU."""
        if self.class_agnostic:
            classes = torch.zeros_like(classes)
        if self.nms == NMS.MASK:
            kept = mask_nms(ious, classes, iou_thresh=self.nms_iou_thresh)
            return torch.where(kept, scores, -1)
        return matrix_nms(ious, classes, scores, kernel=self.nms_kernel, sigma=self.nms_sigma)

    @stage("resize")
    def to_instances(
        self, candidates: Candidates, soft_masks: Tensor, size: ImageSize
    ) -> Instances:
        """Bring the masks to the original image and take their boxes."""
        instances = Instances(size.original)
        # Borders are places where a small difference decides.
        with torch.autocast(soft_masks.device.type, enabled=False):
            if self.mask_format == MaskFormat.RLE:
                rles, boxes = encoded_masks(soft_masks, size, self.mask_thresh)
                instances.pred_rles = rles
            else:
                instances.pred_masks, boxes = binary_masks(soft_masks, size, self.mask_thresh)
        instances.pred_boxes = Boxes(boxes)
        instances.scores = candidates.scores
        instances.pred_classes = to_device(candidates.classes, candidates.scores.device)
        return instances


def _most_probable(probabilities: Tensor, count: int) -> Tensor:
    """Return (N, K, S, S) probabilities with zeros but for the `count` greatest of each cell."""
    best = probabilities.topk(count, dim=1)
    return torch.zeros_like(probabilities).scatter(1, best.indices, best.values)


def _best(scores: Tensor, limit: int, threshold: float) -> Tensor:
    """Return which scores are best, at most `limit`, best first, and not below a threshold; on the CPU."""
    scores = to_host(scores)
    order = scores.argsort(descending=True, stable=True)[:limit]
    return order[scores[order] >= threshold]


@stage("candidates")
def cell_probabilities(
    category_logits: list[Tensor],
    quality_logits: Sequence[Tensor] = (),
    *,
    quality_exponent: float = 1.0,
    labels_per_cell: int = 0,
) -> Tensor:
    """Turn the logits of each level into what survives points NMS.

    Args:
        category_logits: Per level, (N, K, S, S).
        quality_logits: Per level, (N, 1, S, S), or none.
        quality_exponent: Of the quality, which the probabilities are multiplied by.
        labels_per_cell: Classes of a cell that take part; 0: all.

    Returns:
        (N, C, K), with zeros where nothing survives.
    """
    levels = [logits.float().sigmoid() for logits in category_logits]
    if quality_logits and quality_exponent:
        qualities = [logits.float().sigmoid() ** quality_exponent for logits in quality_logits]
        levels = [level * quality for level, quality in zip(levels, qualities, strict=True)]
    if 0 < labels_per_cell < levels[0].shape[1]:
        levels = [_most_probable(level, labels_per_cell) for level in levels]
    return torch.cat([points_nms(level).flatten(2) for level in levels], dim=2).mT
