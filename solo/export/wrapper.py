"""A model as one graph from an image to instances, every shape of which is known beforehand.

Legend: C cells of all levels, K classes, n candidates, D detections, H, W padded input size, h, w soft
mask size.
"""

from typing import Any

import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.config.choices import NMS
from solo.errors import UserError
from solo.export.traceable import Traceable
from solo.layers.nms import matrix_nms
from solo.modeling.candidates import best_cells
from solo.modeling.heads.device_decoding import device_decoder
from solo.modeling.meta_arch import SOLO

OUTPUT_NAMES = ("masks", "classes", "scores", "count")
RAW_OUTPUT_NAMES = (*OUTPUT_NAMES, "probabilities")


class TraceableSOLO(Traceable):
    """The test procedure of `PostProcessor` with a fixed number of candidates and of detections.

    Where there are fewer, the rest are entries with a score of 0, at the end. There are never more
    candidates than enter the suppression, PRE_NMS_TOPK: those of the highest probability.
    """

    min_areas: Tensor
    pixel = 1.0  # what a pixel counts

    def __init__(self, model: SOLO, *, suppress: bool = True) -> None:
        """Wrap a model.

        Args:
            model: In eval mode; its weights are shared.
            suppress: Whether matrix NMS is a part of the graph. If not, all candidates are returned.

        Raises:
            UserError: If the suppression is greedy, which takes a loop that no graph has.
        """
        super().__init__()
        self.model = model
        postprocessor = model.postprocessor
        if suppress and postprocessor.nms != NMS.MATRIX:
            raise UserError(
                f"MODEL.SOLO.TEST.NMS is {str(postprocessor.nms)!r}, which goes through the instances one by one and "
                "cannot be exported: set it to 'matrix', or leave the suppression out (--post raw)."
            )
        self.suppress = suppress
        num_scores = postprocessor.grids.num_cells * model.assigner.num_classes
        self.num_candidates = min(
            postprocessor.pre_nms_topk, postprocessor.max_candidates, num_scores
        )
        levels = postprocessor.grids.levels_of(torch.arange(postprocessor.grids.num_cells))
        self.register_buffer(
            "min_areas", torch.tensor(postprocessor.strides)[levels] * self.pixel, persistent=False
        )

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what `forward` returns."""
        return OUTPUT_NAMES if self.suppress else RAW_OUTPUT_NAMES

    @property
    def mask_stride(self) -> int:
        """Pixels of the input per pixel of the masks."""
        return min(self.model.head.mask_strides)

    @property
    def max_instances(self) -> int:
        """See `Traceable.max_instances`."""
        return self.model.postprocessor.max_instances

    def description(self, cfg: CfgNode) -> dict[str, Any]:
        """See `Traceable.description`."""
        return {
            "mask_stride": self.mask_stride,
            "mask_thresh": cfg.MODEL.SOLO.TEST.MASK_THRESH,
            "num_candidates": self.num_candidates,
            "head": type(self.model.head).__name__,
        }

    def pad_value(self, cfg: CfgNode) -> list[float]:
        """See `Traceable.pad_value`: the model pads with zeros after the mean is gone."""
        return [*cfg.MODEL.PIXEL_MEAN]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Find the instances of one image.

        Args:
            image: (1, 3, H, W) float32, 0 to 255, channels as INPUT.FORMAT says, H and W multiples of
                `divisor`. Pixels beside the image have the value of MODEL.PIXEL_MEAN.

        Returns:
            masks: (D, h, w) float32 probabilities.
            classes: (D,) int64.
            scores: (D,) float32, in descending order, then zeros.
            count: () int64, how many there are.
            probabilities: Without suppression, (C, K) float32 after points NMS.
        """
        model = self.model
        image = (image - model.pixel_mean) / model.pixel_std
        outputs = model.run_network(image)
        rule = model.postprocessor
        probabilities = rule.probabilities(*outputs.cell_logits)[0]
        cells, classes, scores = self._candidates(probabilities)
        size = (image.shape[2] // self.mask_stride, image.shape[3] // self.mask_stride)
        # A head that has no decoder of its own for this is traced as it is.
        decode = device_decoder(model.head, outputs.masks, 0, size)
        decode = decode or model.head.decoder(outputs.masks, 0, size)
        soft = decode(cells)
        hard, areas, scores = self._measure(soft, cells, scores)
        scores, order = scores.topk(self.num_candidates)
        if self.suppress:
            # Sorting the small matrix instead of the masks saves a copy of these.
            ious = self._ious(hard, areas)[order][:, order]
            decayed = self._suppress(ious, classes[order], scores)
            limit = max(rule.update_thresh, 0)
            scores = torch.where((scores >= 0) & (decayed >= limit), decayed, -1)
            scores, best = scores.topk(min(rule.max_instances, self.num_candidates))
            order = order[best]
        results = (soft[order], classes[order], scores.clamp(min=0), (scores >= 0).sum())
        found = dict(zip(OUTPUT_NAMES, results, strict=True))
        return found if self.suppress else {**found, "probabilities": probabilities}

    def _candidates(self, probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take the best cells and classes, in cell order; below the threshold the score is -1."""
        threshold = self.model.postprocessor.score_thresh
        return best_cells(probabilities, self.num_candidates, threshold)

    def _measure(
        self, soft: Tensor, cells: Tensor, scores: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Binarise the masks and multiply the scores by the maskness.

        Returns:
            masks (n, h * w) float32, and their areas (n,), a pixel counting `pixel`; scores (n,), -1 for specks and
            what was -1.
        """
        soft = soft.flatten(1)
        hard = self._binary(soft)
        areas = hard.sum(dim=1)
        maskness = (soft * hard).sum(dim=1) / areas.clamp(min=self.pixel)
        is_found = (scores >= 0) & (areas > self.min_areas[cells])
        return hard, areas, torch.where(is_found, scores * maskness, -1)

    def _binary(self, soft: Tensor) -> Tensor:
        """Return `pixel` where soft masks are above the threshold, else 0."""
        return (soft > self.model.postprocessor.mask_thresh).float()

    def _ious(self, hard: Tensor, areas: Tensor) -> Tensor:
        """Return the (n, n) IoU of what `_measure` returns.

        A product of floats: that of bytes, as on CPUs, is no operator of ONNX.
        """
        shared = hard @ hard.t()
        areas = areas * self.pixel
        return shared / (areas[:, None] + areas[None, :] - shared).clamp(min=self.pixel**2)

    def _suppress(self, ious: Tensor, classes: Tensor, scores: Tensor) -> Tensor:
        """Apply matrix NMS; what is missing comes last, so it lowers no score of the others."""
        postprocessor = self.model.postprocessor
        if postprocessor.class_agnostic:
            classes = torch.zeros_like(classes)
        return matrix_nms(
            ious, classes, scores, kernel=postprocessor.nms_kernel, sigma=postprocessor.nms_sigma
        )
