"""A model that finds boxes as one graph from an image to these, and whether a file of it finds the same.

Legend: A points, D detections, H, W padded input size, n instances.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor
from torchvision.ops import nms
from tqdm import tqdm

from solo.export import runtime
from solo.export.check import MAX_SCORE_ERROR, Agreement, pair_instances
from solo.export.file_format import Run
from solo.export.traceable import Traceable
from solo.structures.image_size import ImageSize

OUTPUT_NAMES = ("boxes", "classes", "scores", "count")
# Share of the longer side of an image by which an edge of a box may differ.
MAX_BOX_ERROR = 1e-3


class TraceableBoxes(Traceable):
    """The test procedure of `solo.yolox.detect.Detector` with a fixed number of detections.

    Where there are fewer, the rest are entries with a score of 0, at the end. Without suppression there is one for
    each point, in no order.
    """

    def __init__(self, model: Any, *, suppress: bool = True) -> None:
        """Wrap a model with `run_network`, `candidates` and a `detector`, in eval mode; its weights are shared."""
        super().__init__()
        self.model, self.suppress = model, suppress

    @property
    def output_names(self) -> tuple[str, ...]:
        """See `Traceable.output_names`."""
        return OUTPUT_NAMES

    @property
    def square(self) -> bool:
        """See `Traceable.square`."""
        return bool(self.model.square)

    @property
    def max_instances(self) -> int:
        """See `Traceable.max_instances`."""
        return int(self.model.detector.max_detections)

    def description(self, cfg: CfgNode) -> dict[str, Any]:
        """See `Traceable.description`."""
        return {"mask_thresh": 0, "head": type(self.model.head).__name__}

    def pad_value(self, cfg: CfgNode) -> list[float]:
        """See `Traceable.pad_value`."""
        return [*(cfg.INPUT.PAD_VALUE or cfg.MODEL.PIXEL_MEAN)]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Find the boxes of one image.

        Args:
            image: See `Traceable`. Pixels beside the image have the value of INPUT.PAD_VALUE.

        Returns:
            boxes: (D, 4) float32, XYXY in pixels of the input.
            classes: (D,) int64.
            scores: (D,) float32, in descending order, then zeros; of what is not suppressed as it comes.
            count: () int64, how many there are.
        """
        model, rule = self.model, self.model.detector
        raw = model.run_network((image - model.pixel_mean) / model.pixel_std)
        found = model.candidates(raw, 0)
        boxes, classes, scores = found.boxes, found.classes, found.scores
        if self.suppress:
            scores = torch.where(scores >= rule.score_thresh, scores, -1)
            scores = self._suppress(boxes, classes, scores)
            # Any image has as many entries to choose from.
            spare = rule.max_detections
            boxes = torch.cat([boxes, boxes.new_zeros(spare, 4)])
            classes = torch.cat([classes, classes.new_zeros(spare)])
            scores, best = torch.cat([scores, scores.new_full((spare,), -1)]).topk(spare)
            boxes, classes = boxes[best], classes[best]
        outputs = (boxes, classes, scores.clamp(min=0), (scores >= 0).sum())
        return dict(zip(OUTPUT_NAMES, outputs, strict=True))

    def _suppress(self, boxes: Tensor, classes: Tensor, scores: Tensor) -> Tensor:
        """Return the scores of (A, 4) boxes, -1 of those that were -1 or are suppressed.

        Classes are moved apart, as `batched_nms` does; by boxes that count alone, or there would be no precision left.
        """
        rule = self.model.detector
        boxes = torch.where((scores >= 0)[:, None], boxes, 0)
        if not rule.class_agnostic:
            boxes = boxes + (classes * (boxes.max() + 1))[:, None]
        kept = torch.zeros_like(scores).index_fill(0, nms(boxes, scores, rule.nms_thresh), 1)
        return torch.where(kept > 0, scores, -1)


@dataclass
class BoxAgreement(Agreement):
    """What the comparison of two models that find boxes says."""

    box_error: float = (
        0.0  # largest difference between edges of the boxes of an instance, in pixels
    )

    def __str__(self) -> str:
        """Tell the numbers in a sentence."""
        return (
            f"{self.instances} instances on {self.images} images, {len(self.differences)} missing, added "
            f"or with another box; the scores of the others differ by {self.score_error:.1e} at most, "
            f"their boxes by {self.box_error:.1e} pixels"
        )


def compare_boxes(
    model: Any, run: Run, images: Iterable[np.ndarray], metadata: Mapping[str, Any]
) -> BoxAgreement:
    """Run both on images, with the same pixels going in; see `solo.export.check.compare`.

    Args:
        model: See `TraceableBoxes`.
        run: The exported model.
        images: (H, W, 3) uint8 BGR each.
        metadata: Of the exported model.
    """
    model = copy(model)  # the same weights under another test procedure
    if metadata["post"] == "raw":
        # Nothing overlaps by more than all of it.
        model.detector = replace(model.detector, nms_thresh=1.0, max_detections=1 << 30)
    agreement = BoxAgreement()
    for image in tqdm(images, desc="comparing", unit=" images", disable=None):
        inputs, frames = runtime.prepare(image, metadata["input"])
        expected = _find(model, inputs, frames)
        found = runtime.finish(run(inputs), frames, 0)
        scores = expected.scores.numpy()
        is_full = len(scores) == model.detector.max_detections
        lowest = float(scores.min()) if is_full else model.detector.score_thresh
        largest = _add_image(agreement, expected, found, lowest + MAX_SCORE_ERROR)
        agreement.box_error = max(agreement.box_error, largest)
    return agreement


def _add_image(
    agreement: Agreement, expected: Instances, found: runtime.Instances, limit: float
) -> float:
    """Add one image, and return the largest difference between edges of boxes of an instance."""
    edges = expected.pred_boxes.tensor.numpy()
    return pair_instances(
        agreement,
        expected,
        found,
        limit,
        distance=lambda row, index: float(np.abs(found.boxes[index] - edges[row]).max()),
        most=MAX_BOX_ERROR * max(expected.image_size),
        told="{:.2f} pixels of the box",
    )


@torch.no_grad()
def _find(model: Any, inputs: np.ndarray, frames: runtime.Frames) -> Instances:
    """Return what the model finds, on the CPU."""
    batch = torch.from_numpy(inputs).to(model.device)
    raw = model.run_network((batch - model.pixel_mean) / model.pixel_std)
    return model.find(raw, [ImageSize(*frames)])[0].to("cpu")
