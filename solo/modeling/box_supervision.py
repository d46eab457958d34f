"""MODEL.SOLO.LOSS.SUPERVISION "box": soft masks learn from boxes and from the colours of the image.

Legend: M instances of an image, E kinds of edges, h, w size of the image at the stride of soft masks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor

from solo.config.choices import LearntFrom, choose
from solo.errors import UserError
from solo.layers.iteration import current_iteration
from solo.layers.transfer import to_device, to_host
from solo.modeling.box_terms import (
    Offset,
    box_windows,
    count_edges,
    edge_offsets,
    pairwise_loss,
    projection_loss,
    similar_neighbours,
)
from solo.modeling.ground_truth import annotations
from solo.modeling.mask_supervision import PairLoss, Supervision
from solo.modeling.targets import Targets

# What brings the channels of INPUT.FORMAT into the order red, green, blue.
_TO_RGB = {"RGB": (0, 1, 2), "BGR": (2, 1, 0), "L": (0, 0, 0)}


@dataclass(frozen=True, kw_only=True)
class BoxSupervision:
    """Boxes: the shadows of a soft mask fill its box, and neighbours of one colour are alike.

    Attributes:
        offsets: The kinds of edges between a pixel and its neighbours.
        threshold: Similarity from which on two pixels are of one colour.
        channels: Those of the image that are red, green and blue.
        warmup_iters: Iterations in which the weight of the pairwise term rises from 0.

    Source:
        BoxInst (arXiv 2012.02310). The projection term is divided by the number of pairs, the pairwise term by
        that of the edges which it adds up.
    """

    offsets: tuple[Offset, ...]
    threshold: float
    channels: tuple[int, ...]
    warmup_iters: int

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "BoxSupervision | None":
        """Read MODEL.SOLO.BOX_SUPERVISION; None where masks supervise.

        Raises:
            UserError: If a key has a value that makes no sense.
        """
        source = choose(LearntFrom, cfg.MODEL.SOLO.LOSS.SUPERVISION, "MODEL.SOLO.LOSS.SUPERVISION")
        if source is LearntFrom.MASK:
            return None
        check_box_supervision(cfg)
        node = cfg.MODEL.SOLO.BOX_SUPERVISION
        return cls(
            offsets=edge_offsets(node.PAIRWISE_SIZE, node.DILATION),
            threshold=node.COLOR_THRESH,
            channels=_TO_RGB[cfg.INPUT.FORMAT],
            warmup_iters=node.WARMUP_ITERS,
        )

    def truth(self, item: dict[str, Any], device: torch.device) -> Instances:
        """Bring the boxes and the colours of a training item; masks are not looked at."""
        instances = annotations(item)
        moved = Instances(instances.image_size)
        moved.gt_boxes = instances.gt_boxes
        moved.gt_classes = instances.gt_classes
        image = to_device(item["image"], device)
        moved.gt_colors = ColoredBoxes(to_host(instances.gt_boxes.tensor), image, self)
        return moved

    def of_batch(self, truth: Sequence[Instances], smooth: float) -> Supervision:
        """Return what compares soft masks with the boxes of a batch; `smooth`: see `dice_loss`."""
        return _ShownBoxes(truth, smooth, self.offsets)

    def count_edges(
        self,
        truth: Sequence[Instances],
        targets: Sequence[Targets],
        strides: Sequence[Iterable[tuple[int, Tensor]]],
    ) -> Tensor:
        """Count the edges that the pairwise term adds up, (1,) int64.

        Args:
            truth: Of each image.
            targets: Of each image.
            strides: Of each image, the pairs of each stride.
        """
        total = torch.zeros(1, dtype=torch.int64)
        for instances, target, groups in zip(truth, targets, strides, strict=True):
            for stride, pairs in groups:
                windows, similar = instances.gt_colors.at(stride)
                edges = count_edges(similar, self.offsets, windows)
                total = total.to(edges.device)
                total += edges[to_device(target.instances[pairs], edges.device)].sum()
        return total

    def losses(self, sums: Tensor, num_pairs: Tensor, num_edges: Tensor) -> dict[str, Tensor]:
        """Return the losses by name.

        Args:
            sums: (2,) of both terms.
            num_pairs: What the first is divided by.
            num_edges: What the second is divided by.
        """
        projection, pairwise = sums.unbind()
        return {
            "loss_projection": projection / num_pairs.clamp(min=1),
            "loss_pairwise": pairwise / num_edges.clamp(min=1) * self._warmth(),
        }

    def _warmth(self) -> float:
        """Return the share of its weight that the pairwise term has by now; 1 outside of a training."""
        iteration = current_iteration()
        if iteration is None or not self.warmup_iters:
            return 1.0
        return min(iteration / self.warmup_iters, 1.0)


@dataclass(frozen=True)
class _ShownBoxes:
    """The boxes and colours of a batch: a `Supervision` by both terms.

    Attributes:
        truth: Of each image, with gt_colors.
        smooth: See `dice_loss`.
        offsets: See `BoxSupervision`.
    """

    truth: Sequence[Instances]
    smooth: float
    offsets: tuple[Offset, ...]
    num_losses = 2

    def __call__(self, image: int, stride: int, frame: tuple[int, int]) -> PairLoss:
        """Look at the colours of an image; see `Supervision`."""
        windows, similar = self.truth[image].gt_colors.at(stride)

        def terms(soft: Tensor, instances: Tensor, _: Tensor | None = None) -> Tensor:
            projection = projection_loss(soft, windows, instances, smooth=self.smooth)
            pairwise = pairwise_loss(soft, similar, self.offsets, windows, instances)
            return torch.stack([projection.sum(), pairwise.sum()])

        return terms


def check_box_supervision(cfg: CfgNode) -> None:
    """Raise a UserError at a key of MODEL.SOLO.BOX_SUPERVISION that makes no sense."""
    node, format_ = cfg.MODEL.SOLO.BOX_SUPERVISION, cfg.INPUT.FORMAT
    for key, sense, remedy in (
        ("PAIRWISE_SIZE", node.PAIRWISE_SIZE > 1 and node.PAIRWISE_SIZE % 2, "an odd number, as 3"),
        ("DILATION", node.DILATION >= 1, "1 pixel at least"),
        ("COLOR_THRESH", 0 < node.COLOR_THRESH <= 1, "a number in (0, 1]"),
        ("WARMUP_ITERS", node.WARMUP_ITERS >= 0, "iterations, or 0 for none"),
    ):
        if not sense:
            raise UserError(f"MODEL.SOLO.BOX_SUPERVISION.{key} is {node[key]}; give {remedy}.")
    if cfg.MODEL.SOLO.LOSS.NEGATIVES:
        raise UserError(
            f"MODEL.SOLO.LOSS.NEGATIVES is {cfg.MODEL.SOLO.LOSS.NEGATIVES}, which goes with masks: set it to 0 with "
            'MODEL.SOLO.LOSS.SUPERVISION "box".'
        )
    if format_ not in _TO_RGB:
        raise UserError(
            f'INPUT.FORMAT is {format_!r}, whose colours MODEL.SOLO.LOSS.SUPERVISION "box" does not '
            f"compare; use one of {', '.join(_TO_RGB)}."
        )


class ColoredBoxes:
    """The boxes of an image and its colours, as a field of Instances.

    Attributes:
        boxes: (M, 4) XYXY in pixels, on the CPU.
        image: (C, height, width) before normalisation, on the device.
        rule: What is asked of the colours.
    """

    def __init__(self, boxes: Tensor, image: Tensor, rule: BoxSupervision) -> None:
        """Keep the image: how far it is shrunk is asked later."""
        self.boxes, self.image, self.rule = boxes, image, rule
        self._at: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        """Return M."""
        return len(self.boxes)

    @torch.no_grad()
    def at(self, stride: int) -> tuple[Tensor, Tensor]:
        """Return windows (M, 4) and similar neighbours (E, h, w) at a stride; see `box_terms`."""
        if stride not in self._at:
            image = torch.stack([self.image[channel] for channel in self.rule.channels])
            similar = similar_neighbours(image, stride, self.rule.offsets, self.rule.threshold)
            height, width = similar.shape[1:]
            self._at[stride] = box_windows(self.boxes, stride, (height, width)), similar
        return self._at[stride]
