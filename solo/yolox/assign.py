"""SimOTA: which points learn which object, by what the network makes of them at present.

Legend: A points of all levels, G objects of an image, K classes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from detectron2.config import CfgNode
from torch import Tensor

# Added to the cost of a point that does not lie well for an object: more than any other cost.
_BAD_PLACE = 1e5
# Where torch, too, ends the logarithms of a cross entropy.
_LEAST_LOG = -100.0


class Matches(NamedTuple):
    """What the points of an image learn.

    Attributes:
        objects: (A,) int64, the number of the object; -1 for the background.
        ious: (A,) float32, of a point's box with its object; 0 for the background.
    """

    objects: Tensor
    ious: Tensor


@dataclass(frozen=True)
class SimOTA:
    """Give each object as many points as its best boxes fit, and to each point one object at most.

    Source:
        YOLOX, arXiv 2107.08430, 2.1, with the numbers of the published models. Later versions of its code
        have `center_radius` 1.5 and no `in_box`.

    Attributes:
        center_radius: A point lies well for an object less than so many strides from its centre, on both
            axes, ...
        in_box: ... and inside its box. A point is a candidate if one of both holds for any object.
        candidates: The IoUs of so many candidates, the largest, add up to an object's number of points.
        iou_cost: Weight of -log(IoU) beside the cross entropy of the classes.
        epsilon: Added to the IoU in its logarithm.
    """

    center_radius: float = 2.5
    in_box: bool = True
    candidates: int = 10
    iou_cost: float = 3.0
    epsilon: float = 1e-8

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "SimOTA":
        """Return the rule that MODEL.YOLOX describes."""
        node = cfg.MODEL.YOLOX
        return cls(node.CENTER_RADIUS, node.IN_BOX, node.CANDIDATES, node.IOU_COST)

    @torch.no_grad()
    def __call__(
        self,
        boxes: Tensor,
        objectness: Tensor,
        categories: Tensor,
        points: Tensor,
        strides: Tensor,
        true_boxes: Tensor,
        true_classes: Tensor,
    ) -> Matches:
        """Match the points of an image with its objects, on the device and without waiting for it.

        Args:
            boxes: (A, 4) XYXY that the network found, in pixels of the input.
            objectness: (A,) logits.
            categories: (A, K) logits.
            points: (A, 2) x, y: the top-left corners of the cells, in pixels of the input.
            strides: (A,) sides of the cells.
            true_boxes: (G, 4) XYXY.
            true_classes: (G,) int64.

        Returns:
            The matches; none where no point is a candidate.
        """
        if not len(true_boxes):
            nothing = torch.zeros_like(strides, dtype=torch.float32)
            return Matches(torch.full_like(nothing, -1, dtype=torch.int64), nothing)
        boxes, true_boxes = boxes.float(), true_boxes.float()
        fits, candidate = self._places(points, strides, true_boxes)
        ious = box_iou(true_boxes[:, None], boxes).where(candidate, 0)  # (G, A)
        cost = _category_cost(objectness, categories, true_classes)
        cost = cost - self.iou_cost * (ious + self.epsilon).log() + _BAD_PLACE * ~fits
        cost = cost.where(candidate, torch.inf)
        taken = self._cheapest(cost, ious) & candidate
        # What several take, goes to the cheapest of all objects, also to one that did not take it.
        takers = taken.sum(dim=0)
        owners = torch.where(takers > 1, cost.argmin(dim=0), taken.byte().argmax(dim=0))
        objects = owners.where(takers > 0, -1)
        own = ious.gather(0, owners[None])[0]
        return Matches(objects, own.where(takers > 0, 0))

    def _places(self, points: Tensor, strides: Tensor, true_boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return (G, A) where a point lies well for an object, and (A,) which are candidates.

        Here a point is the middle of its cell, though boxes are decoded from the corner.
        """
        middles = points + 0.5 * strides[:, None]
        low, high = true_boxes[:, None].split(2, dim=-1)
        reach = (self.center_radius * strides)[:, None]
        near = ((middles - (low + high) / 2).abs() < reach).all(dim=-1)
        if not self.in_box:
            return near, near.any(dim=0)
        inside = ((middles > low) & (middles < high)).all(dim=-1)
        return near & inside, (near | inside).any(dim=0)

    def _cheapest(self, cost: Tensor, ious: Tensor) -> Tensor:
        """Return (G, A) the points of least cost of each object, as many as the sum of its largest IoUs."""
        most = min(self.candidates, cost.shape[1])
        counts = ious.topk(most).values.sum(dim=1).int().clamp(min=1)
        cheapest = cost.topk(most, largest=False).indices
        ranks = torch.arange(most, device=cost.device)
        return torch.zeros_like(cost, dtype=torch.bool).scatter_(
            1, cheapest, ranks < counts[:, None]
        )


def _category_cost(objectness: Tensor, categories: Tensor, true_classes: Tensor) -> Tensor:
    """Return (G, A) the cross entropy of each point's classes with that of each object.

    All classes count as absent at first; then the object's is exchanged. So nothing is (G, A, K).
    """
    scores = categories.float().sigmoid() * objectness.float().sigmoid()[:, None]
    scores = scores.sqrt_()
    hits = scores.log().clamp_(min=_LEAST_LOG).neg_()
    misses = scores.neg_().log1p_().clamp_(min=_LEAST_LOG).neg_()
    exchanged = hits.sub_(misses)[:, true_classes]
    return (misses.sum(dim=1, keepdim=True) + exchanged).T


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU (...) of boxes (..., 4) XYXY that are broadcast against each other; of nothing it is 0."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(dim=-1)
    shared = width * height
    return shared / (_area(first) + _area(second) - shared + 1e-16)


def _area(boxes: Tensor) -> Tensor:
    left, top, right, bottom = boxes.unbind(dim=-1)
    return (right - left) * (bottom - top)
