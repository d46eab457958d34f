"""The mask loss of a batch: which cells are decoded, at which size, and how many at a time.

What a soft mask should show says a `Supervision`, here the masks that were annotated.

Legend: P positive pairs, H, W padded input size in pixels, h, w soft mask size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from detectron2.structures import Instances
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from solo.layers.masks import downsample_masks
from solo.layers.transfer import to_device
from solo.modeling.heads import Head
from solo.modeling.losses import dice_loss
from solo.modeling.targets import Targets

# Pixels of soft masks that training decodes at a time where memory counts (8 MB).
_PIXELS_AT_A_TIME = 1 << 21

PairLoss = Callable[[Tensor, Tensor], Tensor]
"""Turns (P, h, w) soft masks and the (P,) instances that they should show, on the device, into the sum of their losses."""


class Supervision(Protocol):
    """What soft masks are compared with, made for a batch."""

    def __call__(self, image: int, stride: int, frame: tuple[int, int]) -> PairLoss:
        """Return the loss of soft masks of an image of the batch, of size (h, w) = `frame` at a stride."""


@dataclass(frozen=True)
class MaskSupervision:
    """Dice between soft masks and annotated ones.

    Attributes:
        truth: Of each image, with gt_masks, (M, height, width) bool.
    """

    truth: Sequence[Instances]

    def __call__(self, image: int, stride: int, frame: tuple[int, int]) -> PairLoss:
        """Shrink the masks of an image; see `Supervision`."""
        masks = downsample_masks(self.truth[image].gt_masks, stride, frame)
        return lambda soft, instances: dice_loss(soft, masks, instances).sum()


@dataclass(frozen=True, kw_only=True)
class MaskLoss:
    """The sum of the losses of all pairs of a batch.

    Attributes:
        recompute: Whether soft masks are decoded a few at a time, and again on the way back.
    """

    recompute: bool

    def __call__(
        self,
        head: Head[Any],
        masks: Any,
        targets: Sequence[Targets],
        size: tuple[int, int],
        supervision: Supervision,
    ) -> Tensor:
        """Decode the cells of all pairs, and add up their losses.

        Args:
            head: Which decodes.
            masks: `HeadOutputs.masks` of the batch.
            targets: Of each image.
            size: (H, W) of the padded input.
            supervision: What the soft masks are compared with.

        Returns:
            A scalar.
        """
        again = partial(checkpoint, _pair_sum, use_reentrant=False)
        pair_sum = again if self.recompute else _pair_sum
        device = next(head.parameters()).device
        strides = torch.tensor(head.mask_strides)
        total = torch.zeros(())
        for image, target in enumerate(targets):
            decode = head.decoder(masks, image)
            pair_strides = strides[head.grids.levels_of(target.cells)]
            for stride in pair_strides.unique().tolist():
                pairs = (pair_strides == stride).nonzero()[:, 0]
                frame = (size[0] // stride, size[1] // stride)
                loss = supervision(image, stride, frame)
                for part in self._parts(pairs, frame):
                    shown = to_device(target.instances[part], device)
                    total = total + pair_sum(loss, decode, target.cells[part], shown)
        return total

    def _parts(self, pairs: Tensor, frame: tuple[int, int]) -> tuple[Tensor, ...]:
        """Split pairs into what is decoded at a time: all of them, unless memory counts."""
        if not self.recompute:
            return (pairs,)
        return pairs.split(max(_PIXELS_AT_A_TIME // (frame[0] * frame[1]), 1))


def _pair_sum(
    loss: PairLoss, decode: Callable[[Tensor], Tensor], cells: Tensor, instances: Tensor
) -> Tensor:
    """Decode cells, and add up the losses of the pairs that they make with instances."""
    return loss(decode(cells), instances)
