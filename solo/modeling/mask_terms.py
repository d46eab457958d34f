"""Losses of soft masks beside dice, which look closer where masks are hard to get right: at their boundaries.

Legend: P positive pairs, M instances of an image, h, w soft mask size, N points of a pair.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor
from torch.nn import functional as F

from solo.config.choices import LearntFrom
from solo.errors import UserError
from solo.layers.iteration import current_iteration
from solo.layers.transfer import to_device, to_host
from solo.modeling.losses import dice_loss, pairs_at_a_time

# Points that are looked at per point that is drawn for being uncertain, k, and the share of these, beta: PointRend's.
_OVERSAMPLING = 3
_UNCERTAIN = 0.75
# Sides of an object's box that are added to it on either side, all around, before points are drawn in it.
_MARGIN = 0.25
# Pixels of the soft masks on both sides of the true boundary that make its band.
_BAND = 2

PairTerm = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Turns (P, h, w) soft masks, their logits and the (P,) instances that they should show into (P,) losses.

All on the device. Cross entropy is taken of logits: where a soft mask is 0 or 1 in float32, and wrong, its gradient is whole.
"""


class Shown(NamedTuple):
    """What soft masks of an image should show.

    Attributes:
        truth: With gt_boxes and gt_masks, (M, height, width) bool.
        masks: (M, h, w) bool, at the size of the soft masks.
        stride: Of these.
    """

    truth: Instances
    masks: Tensor
    stride: int


MaskTerm = Callable[[Shown], PairTerm]
"""Makes a term of the loss for an image: what all its pairs share is made once."""


def mask_terms(cfg: CfgNode) -> dict[str, MaskTerm]:
    """Return the terms that MODEL.SOLO.LOSS gives a weight to, by the names of their losses.

    Raises:
        UserError: If a key has a value that makes no sense, or there are no masks to learn from.
    """
    node = cfg.MODEL.SOLO.LOSS
    terms: dict[str, tuple[str, MaskTerm]] = {
        "loss_point_bce": ("POINT_BCE_WEIGHT", PointTerm(node.POINTS, max(cfg.SEED, 0))),
        "loss_boundary_dice": (
            "BOUNDARY_DICE_WEIGHT",
            partial(boundary_dice_term, node.DICE_SMOOTH),
        ),
        "loss_mask_bce": ("MASK_BCE_WEIGHT", cross_entropy_term),
    }
    for key, _ in terms.values():
        if node[key] < 0:
            raise UserError(f"MODEL.SOLO.LOSS.{key} is {node[key]}; give 0 or more.")
        if node[key] and node.SUPERVISION == LearntFrom.BOX:
            raise UserError(
                f"MODEL.SOLO.LOSS.{key} is {node[key]}, which goes with masks: set it to 0 with "
                'MODEL.SOLO.LOSS.SUPERVISION "box".'
            )
    return {name: term for name, (key, term) in terms.items() if node[key]}


def cross_entropy_term(shown: Shown) -> PairTerm:
    """Return the mean binary cross entropy over all pixels of soft masks."""
    return lambda _, logits, instances: _CrossEntropy.apply(logits, shown.masks, instances)


def boundary_dice_term(smooth: float, shown: Shown) -> PairTerm:
    """Return dice over the pixels near the true boundary alone, which weigh little in dice over all of them.

    Near are `_BAND` pixels on both sides. The border of the frame is no boundary.

    Source:
        The region is that of Boundary IoU (arXiv 2103.16562); the loss on it is ours.
    """
    band = boundary_band(shown.masks, _BAND)
    inside = shown.masks & band

    def dice(soft: Tensor, _: Tensor, instances: Tensor) -> Tensor:
        return dice_loss(soft, inside, instances, smooth=smooth, within=band)

    return dice


def boundary_band(masks: Tensor, reach: int) -> Tensor:
    """Return which pixels have one across the boundary at most so many rows and columns away.

    Args:
        masks: (M, h, w) bool.
        reach: At least 1; a pixel right at the boundary is 1 away.

    Returns:
        (M, h, w) bool; nothing of a mask that is empty or fills the frame.
    """
    return _grown(masks, reach) & _grown(~masks, reach)


def _grown(masks: Tensor, reach: int) -> Tensor:
    """Set all pixels at most so many rows and columns away from one that is set."""
    for _ in range(2):  # rows, then columns
        grown = masks.clone()
        for step in range(1, reach + 1):
            grown[:, step:] |= masks[:, :-step]
            grown[:, :-step] |= masks[:, step:]
        masks = grown.mT
    return masks


@dataclass(frozen=True)
class PointTerm:
    """The mean binary cross entropy at points, most of which lie where a soft mask is undecided.

    A soft mask is read between its pixels, and an annotated one at the resolution of the input: so a soft mask
    learns a boundary finer than its pixels are. Where points may lie, in the box of the object and around it,
    depends on the seed, the iteration and the boxes of the image, and on no generator: other images of the step,
    workers, parts of a batch and a resumption change nothing.

    Attributes:
        count: N.
        seed: At least 0.

    Source:
        PointRend (arXiv 1912.08193) section 3.1, "point selection for training": of k N uniform points the beta N
        that are least certain, by their logits, and (1 - beta) N uniform ones. A departure: there points lie in the box of the
        proposal, which frames its mask; here in the annotated box and a quarter of its sides around it, since nothing
        keeps a soft mask within the box.
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a loss of nothing."""
        if self.count < 1:
            raise UserError(f"MODEL.SOLO.LOSS.POINTS is {self.count}; give 1 or more.")

    def __call__(self, shown: Shown) -> PairTerm:
        """Draw the points of an image; see `MaskTerm`."""
        uncertain = round(_UNCERTAIN * self.count)
        candidates = _OVERSAMPLING * self.count
        frame = shown.masks.shape[1:]
        device = shown.masks.device
        places = self.draw(shown.truth, candidates + self.count - uncertain)
        truth = values_at(shown.truth.gt_masks, to_device(places.long(), device))
        width, height = (shown.stride * side for side in reversed(frame))
        # As grid_sample counts: -1 and 1 are the edges of the frame.
        grid = to_device(places / places.new_tensor([width, height]) * 2 - 1, device)

        def loss(_: Tensor, logits: Tensor, instances: Tensor) -> Tensor:
            points, answers = grid[instances], truth[instances]
            with torch.no_grad():
                doubt = _read(logits, points[:, :candidates]).abs()
                chosen = doubt.topk(uncertain, dim=1, largest=False).indices
                rest = torch.arange(candidates, points.shape[1], device=device)
                chosen = torch.cat([chosen, rest.expand(len(logits), -1)], dim=1)
            points = points.take_along_dim(chosen[:, :, None], dim=1)
            read, is_shown = _read(logits, points), answers.take_along_dim(chosen, dim=1)
            return F.softplus(torch.where(is_shown, -read, read)).mean(dim=1)

        return loss

    def draw(self, truth: Instances, count: int) -> Tensor:
        """Draw points for each instance, uniformly over its box and a margin, as far as the image reaches.

        Args:
            truth: Of the image.
            count: For each instance.

        Returns:
            (M, count, 2) float32 x, y in pixels of the input, on the CPU.
        """
        boxes = to_host(truth.gt_boxes.tensor).float()
        height, width = truth.image_size
        margin = (boxes[:, 2:] - boxes[:, :2]) * _MARGIN
        end = torch.tensor([width, height])
        first = (boxes[:, :2] - margin).clamp(min=0).minimum(end - 1)[:, None]
        last = (boxes[:, 2:] + margin).clamp(min=1).minimum(end)[:, None]
        seed = [self.seed, current_iteration() or 0, zlib.crc32(boxes.numpy().tobytes())]
        random = np.random.default_rng(seed).random((len(boxes), count, 2), dtype=np.float32)
        return first + torch.from_numpy(random) * (last - first)


def values_at(masks: Tensor, places: Tensor) -> Tensor:
    """Return the pixels of masks at places.

    Args:
        masks: (M, height, width) bool.
        places: (M, N, 2) int64 x, y; beyond the right and lower border is on it.
    """
    height, width = masks.shape[1:]
    x, y = places.unbind(dim=2)
    pixels = y.clamp(max=height - 1) * width + x.clamp(max=width - 1)
    return masks.flatten(1).gather(1, pixels)


def _read(logits: Tensor, points: Tensor) -> Tensor:
    """Read (P, h, w) logits at (P, N, 2) points of -1 to 1, bilinearly: (P, N)."""
    return F.grid_sample(
        logits[:, None], points[:, None], padding_mode="border", align_corners=False
    )[:, 0, 0]


class _CrossEntropy(torch.autograd.Function):
    """The mean of -log of the probability of what is true, and its gradient, a few pairs at a time."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, masks: Tensor, instances: Tensor) -> Tensor:
        ctx.save_for_backward(logits, masks, instances)
        means = logits.new_empty(len(logits))
        for part in pairs_at_a_time(logits):
            wrong = torch.where(masks[instances[part]], -logits[part], logits[part])
            means[part] = F.softplus(wrong).mean(dim=(1, 2))
        return means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        logits, masks, instances = ctx.saved_tensors
        gradient = (gradient / logits.shape[1:].numel()).view(-1, 1, 1)
        result = torch.empty_like(logits)
        for part in pairs_at_a_time(logits):
            torch.sub(logits[part].sigmoid(), masks[instances[part]].float(), out=result[part])
            result[part] *= gradient[part]
        return result, None, None
