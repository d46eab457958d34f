"""The head with anchors, beside YOLOX's own: boxes of given sizes at each point, which the network corrects.

Legend: N images, P anchors of all levels, A points, one for each anchor in each cell: anchor by anchor, and row by
row; G objects of an image, K classes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor, nn
from torch.nn import functional as F

from solo.config.choices import Matching, choose
from solo.errors import UserError
from solo.layers.transfer import to_device
from solo.yolox.assign import box_iou
from solo.yolox.head import Raw, decode, grid_points
from solo.yolox.losses import averaged

# A side of a box is between exp(-4) and exp(4) times, 1/55 and 55 times, that of its anchor.
_MOST = 4.0
# Of the sides of the batch: what keeps a centre on its very edge within the last cell.
_WITHIN = 1 - 1e-6
_EPSILON = 1e-7

Size = tuple[float, float]


def anchor_sizes(cfg: CfgNode) -> list[list[Size]]:
    """Return width and height of the anchors of each of IN_FEATURES, in pixels of the input.

    Raises:
        UserError: If MODEL.YOLOX.ANCHORS.SIZES are no such pairs.
    """
    levels, names = cfg.MODEL.YOLOX.ANCHORS.SIZES, cfg.MODEL.YOLOX.IN_FEATURES
    try:
        sizes = [[(float(width), float(height)) for width, height in level] for level in levels]
    except (TypeError, ValueError):
        sizes = []
    fit = len(sizes) == len(names) and all(sizes)
    if not fit or min(side for level in sizes for size in level for side in size) <= 0:
        raise UserError(
            f"MODEL.YOLOX.ANCHORS.SIZES is {levels}: give a list of [width, height] in pixels for each of "
            f"{', '.join(names)}."
        )
    return sizes


class AnchorHead(nn.Module):
    """A 1x1 convolution for each anchor; what it says is of YOLOX's form, and decoded and tested as that is.

    Source:
        YOLOv3 (arXiv 1804.02767). Centres up to half a cell beyond their own: YOLOv4 (arXiv 2004.10934), 3.4.
        A score with a share of the IoU: PP-YOLO (arXiv 2007.12099), 3.4.
    """

    log_sizes: Tensor

    def __init__(
        self,
        channels: Sequence[int],
        *,
        strides: Sequence[int],
        sizes: Sequence[Sequence[Size]],
        num_classes: int,
        iou_share: float = 0.0,
        prior_prob: float = 0.01,
    ) -> None:
        """Build the predictors.

        Args:
            channels: Of each feature.
            strides: Of each feature.
            sizes: Width and height of the anchors of each feature, in pixels of the input.
            num_classes: K.
            iou_share: a: the score of a box is objectness ^ (1 - a) * IoU ^ a; 0: no IoU is predicted.
            prior_prob: Of an object, and of a class, at any point before training.

        Raises:
            UserError: If the share is none.
        """
        if not 0 <= iou_share < 1:
            raise UserError(
                f"MODEL.YOLOX.ANCHORS.IOU_SHARE is {iou_share}; give 0, or less than 1."
            )
        super().__init__()
        self.strides, self.num_classes, self.iou_share = tuple(strides), num_classes, iou_share
        # Of each anchor.
        self.levels = [level for level, of_level in enumerate(sizes) for _ in of_level]
        all_sizes = torch.tensor([size for of_level in sizes for size in of_level])
        all_strides = torch.tensor([strides[level] for level in self.levels])
        log_sizes = (all_sizes / all_strides[:, None]).log()
        self.register_buffer("log_sizes", log_sizes, persistent=False)

        def predictors(outputs: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(channels[level], outputs, 1) for level in self.levels)

        self.category_predictors = predictors(num_classes)
        self.anchor_predictors = predictors(6 if iou_share else 5)
        prior = -math.log(1 / prior_prob - 1)
        for category, anchor in zip(self.category_predictors, self.anchor_predictors, strict=True):
            category.get_parameter("bias").data[:] = prior
            anchor.get_parameter("bias").data[4] = prior

    @property
    def category_parameters(self) -> list[nn.Parameter]:
        """What has a row per class."""
        return [*self.category_predictors.parameters()]

    def forward(self, features: Sequence[Tensor]) -> Raw:
        """Look at the features of all levels: in training for the losses, else with the scores to be."""
        boxes, beliefs, categories = [], [], []
        for number, level in enumerate(self.levels):
            found = self.anchor_predictors[number](features[level]).flatten(2).mT.float()
            centers = 2 * found[..., :2].sigmoid() - 0.5
            sides = found[..., 2:4].clamp(-_MOST, _MOST) + self.log_sizes[number]
            boxes.append(torch.cat([centers, sides], dim=-1))
            beliefs.append(found[..., 4:])
            categories.append(self.category_predictors[number](features[level]).flatten(2).mT)
        cells = [(features[level].shape[2], features[level].shape[3]) for level in self.levels]
        of_anchors = [self.strides[level] for level in self.levels]
        points, strides = grid_points(cells, of_anchors, features[0].device)
        objectness, *ious = torch.cat(beliefs, dim=1).unbind(dim=-1)
        if ious and not self.training:
            share = self.iou_share
            mixed = objectness.sigmoid() ** (1 - share) * ious[0].sigmoid() ** share
            objectness = mixed.logit()
        found = torch.cat(boxes, dim=1), objectness, torch.cat(categories, dim=1)
        if not self.training:
            return Raw(*found, points, strides)
        anchors = torch.cat(
            [points.new_full((h * w,), number).long() for number, (h, w) in enumerate(cells)]
        )
        return Raw(*found, points, strides, anchors, ious[0] if ious else None)


@dataclass(frozen=True)
class AnchorMatcher:
    """Which points learn which object, by the sizes of their anchors and the cell of its centre.

    A point that several objects claim goes to the one that fits its anchor best, whatever their order.
    The fit is the IoU of both put at the same place.

    Attributes:
        sizes: Width and height of the P anchors, in pixels.
        matching: "best": of all anchors the one that fits the object best, in the cell of its centre
            (YOLOv3). "ratio": all whose sides and the object's are less than `ratio_thresh` times each
            other, in the cell of its centre and in the nearest one along each axis (YOLOv5).
        ratio_thresh: Of "ratio".
        ignore_thresh: A point without an object is ignored where its box has a higher IoU with any.
    """

    sizes: tuple[Size, ...]
    matching: Matching
    ratio_thresh: float
    ignore_thresh: float

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "AnchorMatcher":
        """Read MODEL.YOLOX.ANCHORS."""
        node = cfg.MODEL.YOLOX.ANCHORS
        matching = choose(Matching, node.MATCHING, "MODEL.YOLOX.ANCHORS.MATCHING")
        sizes = tuple(size for level in anchor_sizes(cfg) for size in level)
        return cls(sizes, matching, node.RATIO_THRESH, node.IGNORE_THRESH)

    @torch.no_grad()
    def __call__(
        self, boxes: Tensor, points: Tensor, strides: Tensor, anchors: Tensor, true_boxes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Match the points of an image with its objects, on the device and without waiting for it.

        Args:
            boxes: (A, 4) XYXY that the network found, in pixels of the input.
            points: (A, 2) x, y: the upper left corners of the cells.
            strides: (A,) sides of the cells.
            anchors: (A,) int64, numbers of the anchors.
            true_boxes: (G, 4) XYXY.

        Returns:
            (A,) int64, the number of the object that a point learns, or -1; and (A,) bool, which points
            learn none, and yet are not wrong to see one.
        """
        if not len(true_boxes):
            return torch.full_like(anchors, -1), torch.zeros_like(anchors, dtype=torch.bool)
        fits, chosen = self._anchors_of(true_boxes)
        taken = self._cells_of(true_boxes, points, strides) & chosen[:, anchors]  # (G, A)
        best = fits[:, anchors].where(taken, -1).max(dim=0)
        objects = best.indices.where(best.values >= 0, -1)
        overlaps = box_iou(true_boxes[:, None], boxes).amax(dim=0)
        return objects, (overlaps > self.ignore_thresh) & (objects < 0)

    def _anchors_of(self, true_boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return (G, P) how well anchors fit objects, and which of them learn an object."""
        sizes = to_device(torch.tensor(self.sizes), true_boxes.device)
        sides = (true_boxes[:, 2:] - true_boxes[:, :2])[:, None]
        shared = torch.minimum(sides, sizes).prod(dim=-1)
        fits = shared / (sides.prod(dim=-1) + sizes.prod(dim=-1) - shared)
        if self.matching == Matching.BEST:
            numbers = torch.arange(len(sizes), device=fits.device)
            return fits, numbers == fits.argmax(dim=1, keepdim=True)
        ratios = torch.maximum(sides / sizes, sizes / sides).amax(dim=-1)
        return fits, ratios < self.ratio_thresh

    def _cells_of(self, true_boxes: Tensor, points: Tensor, strides: Tensor) -> Tensor:
        """Return (G, A) where an object's centre lies in a point's cell, or near enough."""
        end = (points + strides[:, None]).amax(dim=0) * _WITHIN
        centers = ((true_boxes[:, :2] + true_boxes[:, 2:]) / 2).clamp(min=0).minimum(end)
        offsets = (centers[:, None] - points) / strides[:, None]  # within the cell: 0 to 1
        inside = (offsets >= 0) & (offsets < 1)
        if self.matching == Matching.BEST:
            return inside.all(dim=-1)
        near = (offsets >= -0.5) & (offsets < 1.5)
        return near.all(dim=-1) & inside.any(dim=-1)


@dataclass(frozen=True)
class AnchorLosses:
    """Compares what the head with anchors says with the annotations."""

    matcher: AnchorMatcher
    weights: Mapping[str, float]  # of the losses, by name

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "AnchorLosses":
        """Read MODEL.YOLOX.LOSS and MODEL.YOLOX.ANCHORS."""
        node = cfg.MODEL.YOLOX
        weights = {
            "loss_box": node.LOSS.BOX_WEIGHT,
            "loss_objectness": node.LOSS.OBJECTNESS_WEIGHT,
            "loss_category": node.LOSS.CATEGORY_WEIGHT,
            "loss_iou": node.ANCHORS.IOU_WEIGHT,
        }
        return cls(AnchorMatcher.from_config(cfg), weights)

    def __call__(
        self, raw: Raw, truth: Sequence[Instances], iteration: int | None = None
    ) -> dict[str, Tensor]:
        """Return the losses of a batch, in float32.

        Args:
            raw: Of N images, by an `AnchorHead` in training.
            truth: N Instances with gt_boxes and gt_classes, on the device.
            iteration: Of the run, which means nothing here.

        Returns:
            `loss_box`, `loss_objectness`, `loss_category`, and `loss_iou` where the IoU is predicted; see
            :func:`solo.yolox.losses.averaged`.
        """
        assert raw.anchors is not None
        boxes = decode(raw.boxes, raw.points, raw.strides)
        true_boxes = [item.gt_boxes.tensor.float() for item in truth]
        places = [
            self.matcher(found, raw.points, raw.strides, raw.anchors, annotated)
            for found, annotated in zip(boxes, true_boxes, strict=True)
        ]
        owners, ignored = (torch.stack(part) for part in zip(*places, strict=True))
        image, point = (owners >= 0).nonzero(as_tuple=True)
        # Objects are counted over the batch.
        starts = torch.tensor([0, *accumulate(map(len, truth))])
        objects = owners[image, point] + to_device(starts, owners.device)[image]
        found, wanted = boxes[image, point], torch.cat(true_boxes)[objects]
        logits = raw.categories[image, point]
        classes = torch.cat([item.gt_classes for item in truth])[objects]
        sums = {
            "loss_box": (1 - complete_iou(found, wanted)).sum(),
            "loss_objectness": _cross_entropy(raw.objectness, owners >= 0, (~ignored).float()),
            "loss_category": _cross_entropy(logits, F.one_hot(classes, logits.shape[1])),
        }
        if raw.ious is not None:
            ious = box_iou(found, wanted).detach()
            sums["loss_iou"] = _cross_entropy(raw.ious[image, point], ious)
        return averaged(sums, self.weights, len(objects))


def complete_iou(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the CIoU (P,) of pairs of boxes (P, 4) XYXY, at most 1.

    Source:
        Distance-IoU Loss (arXiv 1911.08287), equations 7 to 11; the weight of the shapes has no gradient.
    """
    ious = box_iou(found, wanted)
    low = torch.minimum(found[:, :2], wanted[:, :2])
    high = torch.maximum(found[:, 2:], wanted[:, 2:])
    diagonal = (high - low).square().sum(dim=1)
    apart = (found[:, :2] + found[:, 2:] - wanted[:, :2] - wanted[:, 2:]) / 2
    angles = [torch.atan2(*(box[:, 2:] - box[:, :2]).unbind(dim=1)) for box in (found, wanted)]
    shapes = (4 / math.pi**2) * (angles[0] - angles[1]).square()
    with torch.no_grad():
        weights = shapes / (1 - ious + shapes + _EPSILON)
    return ious - apart.square().sum(dim=1) / (diagonal + _EPSILON) - weights * shapes


def _cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    logits, targets = logits.float(), targets.float()
    return F.binary_cross_entropy_with_logits(logits, targets, weights, reduction="sum")
