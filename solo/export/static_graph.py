"""A model as a graph without any question and of fixed shapes, as TensorRT and other static compilers take.

Legend: C cells of all levels, K classes, D detections, H, W input size.
"""

from itertools import pairwise
from typing import Any

import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.errors import UserError
from solo.export.wrapper import TraceableSOLO
from solo.layers.masks import bounds, resize_soft_masks
from solo.modeling.meta_arch import SOLO

OUTPUT_NAMES = ("boxes", "scores", "classes", "masks", "count")


class StaticSOLO(TraceableSOLO):
    """`TraceableSOLO` that chooses candidates level by level, and returns boxes, and masks of the input's size."""

    # As a power of two it rounds nothing, and sums of pixels stay in the range of float16.
    pixel = 2.0**-8

    def __init__(self, model: SOLO, *, suppress: bool = True) -> None:
        """Wrap a model; see `TraceableSOLO`.

        Raises:
            UserError: If there is no suppression in the graph.
        """
        if not suppress:
            raise UserError("--static has the suppression in the graph: leave --post raw out.")
        super().__init__(model)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what `forward` returns."""
        return OUTPUT_NAMES

    def description(self, cfg: CfgNode) -> dict[str, Any]:
        """See `Traceable.description`."""
        return {**super().description(cfg), "mask_stride": 1, "static": True}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Find the instances of one image.

        Args:
            image: See `TraceableSOLO`.

        Returns:
            boxes: (D, 4) float32 XYXY in pixels of the input, the bounds of the masks, the far edge exclusive.
            scores: (D,) float32, in descending order, then zeros.
            classes: (D,) int64.
            masks: (D, H, W) float32 probabilities.
            count: () int64, how many there are.
        """
        found = super().forward(image)
        # Only of what is left: those of all candidates would be gigabytes.
        found["masks"] = resize_soft_masks(found["masks"], (image.shape[2], image.shape[3]))
        found["boxes"] = self._boxes(found["masks"])
        return {name: found[name] for name in OUTPUT_NAMES}

    def _candidates(self, probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take the best of each level, then the best of these: the same as the best of all, in smaller calls."""
        num_classes = probabilities.shape[1]
        values, places = [], []
        for first, end in pairwise(self.model.head.grids.offsets):
            level = probabilities[first:end].flatten()
            best = level.topk(min(self.num_candidates, (end - first) * num_classes))
            values.append(best.values)
            places.append(best.indices + first * num_classes)
        scores, best_of_all = torch.cat(values).topk(self.num_candidates)
        places_of_all = torch.cat(places)[best_of_all]
        # Of whole numbers: others may become float16, in which there are none above 2048.
        cells = places_of_all // num_classes
        scores = torch.where(scores > self.model.postprocessor.score_thresh, scores, -1)
        return cells, places_of_all - cells * num_classes, scores

    def _binary(self, soft: Tensor) -> Tensor:
        return super()._binary(soft) * self.pixel

    def _boxes(self, masks: Tensor) -> Tensor:
        """Return the (D, 4) bounds of the pixels above the threshold; zeros where there are none."""
        thresh = self.model.postprocessor.mask_thresh
        left, right = bounds((masks.amax(dim=1) > thresh).float())
        top, bottom = bounds((masks.amax(dim=2) > thresh).float())
        return torch.stack([left, top, right, bottom], dim=1)


def static_size(cfg: CfgNode, divisor: int) -> tuple[int, int]:
    """Return the (H, W) that images of landscape format are resized to by the config, in multiples of the divisor.

    Raises:
        UserError: If the config leaves images as they are.
    """
    sides = cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST
    if not sides[0]:
        raise UserError(
            "INPUT.MIN_SIZE_TEST is 0, so images have any size, and --static takes one: give it, as "
            f"--size {20 * divisor}x{20 * divisor}."
        )
    height, width = (-(-side // divisor) * divisor for side in sides)
    return height, max(height, width)
