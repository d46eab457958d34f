"""YOLOX's losses: of boxes, objectness, classes, and in the last phase of the raw outputs, in float32.

Legend: N images, A points of all levels, P positive points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from detectron2.utils import comm
from torch import Tensor
from torch.nn import functional as F

from solo.layers.all_workers import sum_over_workers
from solo.yolox.assign import SimOTA, box_iou
from solo.yolox.head import Raw, decode


@dataclass(frozen=True)
class Losses:
    """Compares what the head says with the annotations.

    Source:
        YOLOX, arXiv 2107.08430; the square of the IoU, and the IoU as the target of a class, from its code.

    Attributes:
        assigner: Says which points learn which object.
        weights: Of the losses, by name.
        l1_start: The first iteration in which the raw outputs have a loss of their own, too.
    """

    assigner: SimOTA
    weights: Mapping[str, float]
    l1_start: int

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "Losses":
        """Return the losses that MODEL.YOLOX describes; L1 begins where mosaic and mixup end."""
        node = cfg.MODEL.YOLOX.LOSS
        weights = {
            "loss_box": node.BOX_WEIGHT,
            "loss_objectness": node.OBJECTNESS_WEIGHT,
            "loss_category": node.CATEGORY_WEIGHT,
            "loss_l1": node.L1_WEIGHT,
        }
        last_phase = cfg.SOLVER.MAX_ITER - cfg.INPUT.MULTI_IMAGE_OFF_ITERS
        return cls(SimOTA.from_config(cfg), weights, last_phase)

    def __call__(
        self, raw: Raw, truth: Sequence[Instances], iteration: int | None = None
    ) -> dict[str, Tensor]:
        """Return the losses of a batch.

        Args:
            raw: Of N images.
            truth: N Instances with gt_boxes and gt_classes, on the device.
            iteration: Of the run. None: nobody knows, and there is no loss of the raw outputs.

        Returns:
            `loss_box`, `loss_objectness`, `loss_category`, and in the last phase `loss_l1`: sums over the
            batches of all workers, divided by their positive points and multiplied by the number of workers,
            since DDP averages the gradients. Without positive points all but that of the objectness are 0
            and give gradients of 0: DDP waits for one from each parameter.
        """
        raw = Raw(*(part.float() for part in raw))
        boxes = decode(raw.boxes, raw.points, raw.strides)
        image, point, objects = _positives(raw, boxes, truth, self.assigner)
        true_boxes = torch.cat([item.gt_boxes.tensor for item in truth])[objects]
        true_classes = torch.cat([item.gt_classes for item in truth])[objects]
        ious = box_iou(boxes[image, point], true_boxes)
        logits = raw.categories[image, point]
        wanted = torch.zeros_like(logits).scatter_(1, true_classes[:, None], ious.detach()[:, None])
        found = torch.zeros_like(raw.objectness)
        found[image, point] = 1
        sums = {
            "loss_box": (1 - ious.square()).sum(),
            "loss_objectness": _cross_entropy(raw.objectness, found),
            "loss_category": _cross_entropy(logits, wanted),
        }
        if iteration is not None and iteration >= self.l1_start:
            offsets = encode(true_boxes, raw.points[point], raw.strides[point])
            sums["loss_l1"] = (raw.boxes[image, point] - offsets).abs().sum()
        count = torch.tensor(float(len(objects)), device=ious.device)
        scale = comm.get_world_size() / sum_over_workers(count).clamp(min=1)
        return {name: self.weights[name] * scale * total for name, total in sums.items()}


def _positives(
    raw: Raw, boxes: Tensor, truth: Sequence[Instances], assigner: SimOTA
) -> tuple[Tensor, Tensor, Tensor]:
    """Return image, point and object, (P,) each, of the positive points; objects are counted over the batch."""
    owners, start = [], 0
    outputs = zip(boxes, raw.objectness, raw.categories, strict=True)
    for of_image, item in zip(outputs, truth, strict=True):
        annotated = item.gt_boxes.tensor, item.gt_classes
        matches = assigner(*of_image, raw.points, raw.strides, *annotated)
        owners.append(torch.where(matches.objects < 0, -1, matches.objects + start))
        start += len(item)
    objects = torch.stack(owners)
    image, point = (objects >= 0).nonzero(as_tuple=True)
    return image, point, objects[image, point]


def encode(boxes: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Return the raw output (P, 4) that is decoded to boxes (P, 4) XYXY at points (P, 2) of strides (P,)."""
    low, high = boxes.split(2, dim=1)
    side = strides[:, None]
    centers = ((low + high) / 2 - points) / side
    return torch.cat([centers, ((high - low) / side + 1e-8).log()], dim=1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
