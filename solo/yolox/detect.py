"""From what the head says to the boxes of an image.

Legend: A points, K classes, n boxes.
"""

from dataclasses import dataclass

import torch
from detectron2.config import CfgNode
from detectron2.modeling.postprocessing import detector_postprocess
from detectron2.structures import Boxes, Instances
from torch import Tensor
from torchvision.ops import batched_nms

from solo.structures.image_size import ImageSize
from solo.yolox.head import Raw, decode


@dataclass(frozen=True)
class Candidates:
    """A box at each point, or at some.

    Attributes:
        boxes: (n, 4) float32, XYXY in pixels of the padded image.
        scores: (n,) float32.
        classes: (n,) int64.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def take(self, rows: Tensor) -> "Candidates":
        """Return those of some rows, given by number or by a mask."""
        return Candidates(self.boxes[rows], self.scores[rows], self.classes[rows])


def best_classes(raw: Raw, image: int) -> Candidates:
    """Return the box of each of the A points of an image, with its best class.

    The score is the probability of an object times that of the class.
    """
    probabilities, classes = raw.categories[image].float().sigmoid().max(dim=1)
    scores = raw.objectness[image].float().sigmoid() * probabilities
    return Candidates(decode(raw.boxes[image], raw.points, raw.strides), scores, classes)


@dataclass(frozen=True, kw_only=True)
class Detector:
    """The test procedure: a threshold, then greedy suppression of all that is left.

    Attributes:
        score_thresh: Least score.
        nms_thresh: Overlap above which the less certain box goes.
        class_agnostic: Whether boxes of different classes suppress each other.
        max_detections: Boxes of an image at most.
    """

    score_thresh: float
    nms_thresh: float
    class_agnostic: bool
    max_detections: int

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "Detector":
        """Read MODEL.YOLOX.TEST."""
        node = cfg.MODEL.YOLOX.TEST
        return cls(
            score_thresh=node.SCORE_THRESH,
            nms_thresh=node.NMS_THRESH,
            class_agnostic=node.CLASS_AGNOSTIC,
            max_detections=node.MAX_DETECTIONS,
        )

    def __call__(self, raw: Raw, image: int, size: ImageSize) -> Instances:
        """Return the boxes of an image at its original size, in descending order of score.

        Args:
            raw: Of a batch.
            image: Its number there.
            size: Of the image.
        """
        found = self.suppress(best_classes(raw, image))
        instances = Instances(size.resized)
        instances.pred_boxes = Boxes(found.boxes)
        instances.scores = found.scores
        instances.pred_classes = found.classes
        return detector_postprocess(instances, *size.original)

    def suppress(self, candidates: Candidates) -> Candidates:
        """Return what is left of candidates, in descending order of score."""
        # A side that overflows would move the boxes of all classes.
        is_finite = candidates.boxes.isfinite().all(dim=1)
        likely = candidates.take((candidates.scores >= self.score_thresh) & is_finite)
        groups = torch.zeros_like(likely.classes) if self.class_agnostic else likely.classes
        kept: Tensor = batched_nms(likely.boxes, likely.scores, groups, self.nms_thresh)
        return likely.take(kept[: self.max_detections])
