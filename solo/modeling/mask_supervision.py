"""What the soft masks of a batch are compared with: masks that were annotated, or nothing at all.

Legend: P positive pairs, M instances of an image, h, w soft mask size, T terms of the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from detectron2.structures import Instances
from torch import Tensor
from torch.nn import functional as F

from solo.layers.masks import downsample_masks
from solo.layers.transfer import to_device
from solo.modeling.losses import dice_loss, dice_loss_of_logits
from solo.modeling.mask_quality import mask_ious
from solo.modeling.mask_terms import MaskTerm, PairTerm, Shown


class PairLoss(Protocol):
    """Adds up T losses of soft masks and the instances that they should show."""

    def __call__(self, soft: Tensor, instances: Tensor, logits: Tensor | None = None, /) -> Tensor:
        """Return (T,).

        Args:
            soft: (P, h, w).
            instances: (P,), on the CPU.
            logits: Those of `soft`, where there are terms beside dice.
        """


class Supervision(Protocol):
    """What soft masks are compared with, made for a batch.

    Attributes:
        num_losses: T.
    """

    @property
    def num_losses(self) -> int:
        """See the attributes."""

    def __call__(self, image: int, stride: int, frame: tuple[int, int]) -> PairLoss:
        """Return the loss of soft masks of an image of the batch, of size (h, w) = `frame` at a stride."""


@dataclass(frozen=True)
class MaskSupervision:
    """Dice between soft masks and annotated ones, and what further terms there are.

    Attributes:
        truth: Of each image, with gt_boxes and gt_masks, (M, height, width) bool.
        smooth: See `dice_loss`.
        terms: Beside dice.
    """

    truth: Sequence[Instances]
    smooth: float = 0.0
    terms: Sequence[MaskTerm] = ()

    @property
    def num_losses(self) -> int:
        """See `Supervision`."""
        return 1 + len(self.terms)

    def __call__(self, image: int, stride: int, frame: tuple[int, int]) -> "ShownMasks":
        """Shrink the masks of an image; see `Supervision`."""
        truth = self.truth[image]
        masks = downsample_masks(truth.gt_masks, stride, frame)
        terms = [make(Shown(truth, masks, stride)) for make in self.terms]
        return ShownMasks(masks, self.smooth, terms)


@dataclass(frozen=True)
class ShownMasks:
    """What soft masks of an image should show: a `PairLoss` that knows how good they are, too.

    Attributes:
        masks: (M, h, w) bool, at the size of the soft masks.
        smooth: See `dice_loss`.
        terms: Beside dice.
    """

    masks: Tensor
    smooth: float
    terms: Sequence[PairTerm]

    def __call__(self, soft: Tensor, instances: Tensor, logits: Tensor | None = None) -> Tensor:
        """Add up the losses of pairs; see `PairLoss`."""
        shown = to_device(instances, self.masks.device)
        dice = dice_loss(soft, self.masks, shown, smooth=self.smooth).sum()
        if logits is None:
            return dice[None]
        return torch.stack([dice, *(term(soft, logits, shown).sum() for term in self.terms)])

    def of_logits(self, logits: Tensor, instances: Tensor, _: Tensor | None = None) -> Tensor:
        """Do as a call without terms, for soft masks that are given by their logits: a `PairLoss` of these."""
        shown = to_device(instances, self.masks.device)
        return dice_loss_of_logits(logits, self.masks, shown, smooth=self.smooth).sum()[None]

    def quality(self, soft: Tensor, instances: Tensor) -> Tensor:
        """Measure the soft masks of pairs; see `mask_ious`."""
        return mask_ious(soft, self.masks, to_device(instances, self.masks.device))


@dataclass(frozen=True)
class EmptySupervision:
    """Dice between what soft masks leave free and the whole frame; of nothing itself, dice says nothing.

    Attributes:
        device: Of the soft masks.
        smooth: See `dice_loss`.
        num_losses: Those of what is annotated; all but dice are 0 here.
    """

    device: torch.device
    smooth: float
    num_losses: int

    def __call__(self, image: int, stride: int, frame: tuple[int, int]) -> PairLoss:
        """Make the frame; see `Supervision`."""
        full = torch.ones(1, *frame, dtype=torch.bool, device=self.device)

        def dice(soft: Tensor, zeros: Tensor, _: Tensor | None = None) -> Tensor:
            shown = to_device(zeros, self.device)
            loss = dice_loss(1 - soft, full, shown, smooth=self.smooth).sum()
            return F.pad(loss[None], (0, self.num_losses - 1))

        return dice
