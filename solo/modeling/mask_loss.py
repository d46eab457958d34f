"""The mask loss of a batch: which cells are decoded, at which size, and how many at a time.

What a soft mask should show says a `Supervision`, here the masks that were annotated.

Legend: P positive pairs, H, W padded input size in pixels, h, w soft mask size, T terms of the loss.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from solo.config.choices import Recompute
from solo.errors import UserError
from solo.layers.transfer import to_device
from solo.modeling.heads import Head
from solo.modeling.mask_quality import PairQuality
from solo.modeling.mask_supervision import (
    EmptySupervision,
    MaskSupervision,
    PairLoss,
    ShownMasks,
    Supervision,
)
from solo.modeling.mask_terms import MaskTerm, mask_terms
from solo.modeling.predictions import decoded_at_a_time
from solo.modeling.targets import Targets

Decode = Callable[[Tensor], tuple[Tensor, ...]]
"""From (P,) cells to (P, h, w) soft masks and what else a loss takes of them, or to their logits alone."""


class MaskSums(NamedTuple):
    """What the soft masks of a batch come to.

    Attributes:
        total: (T,) losses of all pairs added up; zeros without pairs.
        quality: Of each image (P,) float32, which no gradient flows through: the IoU of each pair's soft mask
            above .5 with the mask of its instance, at the size of the soft mask. Empty where nobody asked.
    """

    total: Tensor
    quality: list[Tensor]


@dataclass(frozen=True, kw_only=True)
class MaskLoss:
    """The sum of the losses of all pairs of a batch, and of the cells that have to show nothing.

    Attributes:
        recompute: Whether soft masks are decoded a few at a time, and again on the way back.
        stride: Pixels of the input per pixel of the soft masks; 0: as the head makes them.
        smooth: Of dice; see `dice_loss`.
        terms: Losses beside dice, by name.
    """

    recompute: bool = False
    stride: int = 0
    smooth: float = 0.0
    terms: Mapping[str, MaskTerm] = field(default_factory=dict)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> "MaskLoss":
        """Read MODEL.SOLO.

        Raises:
            UserError: At a number that is none of a loss.
        """
        node = cfg.MODEL.SOLO
        if (smooth := node.LOSS.DICE_SMOOTH) < 0:
            raise UserError(f"MODEL.SOLO.LOSS.DICE_SMOOTH is {smooth}; give pixels, or 0 for none.")
        if (stride := node.LOSS.MASK_STRIDE) < 0 or stride % 2:
            raise UserError(
                f"MODEL.SOLO.LOSS.MASK_STRIDE is {stride}; give an even number, or 0 for the head's own."
            )
        return cls(
            recompute=node.RECOMPUTE != Recompute.NONE,
            stride=stride,
            smooth=smooth,
            terms=mask_terms(cfg),
        )

    def check(self, divisor: int) -> None:
        """Raise a UserError if masks of the stride do not cover an input whose sides are multiples of `divisor`."""
        if self.stride and divisor % self.stride:
            raise UserError(
                f"MODEL.SOLO.LOSS.MASK_STRIDE is {self.stride}; give an even divisor of {divisor}, what the "
                "sides of the input are multiples of, or 0 for the head's own."
            )

    def of_batch(self, truth: Sequence[Instances]) -> Supervision:
        """Return what compares soft masks with the annotated ones of a batch."""
        return MaskSupervision(truth, self.smooth, [*self.terms.values()])

    def losses(self, sums: Tensor, num_masks: Tensor) -> dict[str, Tensor]:
        """Return the losses by name.

        Args:
            sums: (T,) of dice and the other terms.
            num_masks: What they are divided by.
        """
        means = sums / num_masks.clamp(min=1)
        return dict(zip(("loss_mask", *self.terms), means.unbind(), strict=True))

    def __call__(
        self,
        head: Head[Any],
        masks: Any,
        targets: Sequence[Targets],
        size: tuple[int, int],
        supervision: Supervision,
        *,
        with_quality: bool = False,
    ) -> MaskSums:
        """Decode the cells of all pairs, and add up their losses.

        Args:
            head: Which decodes.
            masks: `HeadOutputs.masks` of the batch.
            targets: Of each image.
            size: (H, W) of the padded input.
            supervision: What the soft masks are compared with.
            with_quality: Whether to measure the soft masks of the pairs, which takes a `MaskSupervision`.
        """
        again = partial(checkpoint, _pair_sum, use_reentrant=False)
        pair_sum = again if self.recompute else _pair_sum
        device = next(head.parameters()).device
        sums = MaskSums(torch.zeros(supervision.num_losses, device=device), [])
        empty = EmptySupervision(device, self.smooth, supervision.num_losses)
        for image, target in enumerate(targets):
            decode = self._decoder(head, masks, image, size)
            # Where all that is asked of soft masks is dice, there is no need of them.
            is_dice = not (self.terms or self.stride or with_quality)
            logits = head.logit_decoder(masks, image) if is_dice else None
            nothing = torch.zeros_like(target.negatives)
            quality = torch.zeros(len(target.cells), device=device)
            for cells, instances, supervise in (
                (target.cells, target.instances, supervision),
                (target.negatives, nothing, empty),
            ):
                for stride, chosen in self.by_stride(head, cells):
                    frame = _frame(size, stride)
                    loss = supervise(image, stride, frame)
                    measure = _quality_of(loss) if with_quality else None
                    way = _by_logits(loss, logits) or (loss, decode)
                    for part in self._parts(chosen, frame):
                        add, measured = pair_sum(*way, cells[part], instances[part], measure)
                        sums = sums._replace(total=sums.total + add)
                        if measured is not None:
                            quality[to_device(part, device)] = measured
            if with_quality:
                sums.quality.append(quality)
        return sums

    def _decoder(self, head: Head[Any], masks: Any, image: int, size: tuple[int, int]) -> Decode:
        """Return what turns cells into soft masks, and where there are terms beside dice, logits."""
        frame = _frame(size, self.stride) if self.stride else None
        if self.terms:
            return partial(head.soft_masks_and_logits, masks, image, size=frame)
        decode = head.decoder(masks, image, frame)
        return lambda cells: (decode(cells),)

    def by_stride(self, head: Head[Any], cells: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each stride that soft masks of the cells have, and which cells these are."""
        if self.stride:
            by_level = torch.full((head.grids.num_levels,), self.stride)
        else:
            by_level = torch.tensor(head.mask_strides)
        strides = by_level[head.grids.levels_of(cells)]
        for stride in strides.unique().tolist():
            yield stride, (strides == stride).nonzero()[:, 0]

    def _parts(self, pairs: Tensor, frame: tuple[int, int]) -> tuple[Tensor, ...]:
        """Split pairs into what is decoded at a time: all of them, unless memory counts."""
        if not self.recompute:
            return (pairs,)
        return decoded_at_a_time(pairs, frame[0] * frame[1])


def _quality_of(loss: PairLoss) -> PairQuality | None:
    """Return what measures soft masks, where there are annotated ones to compare them with."""
    return loss.quality if isinstance(loss, ShownMasks) else None


def _by_logits(loss: PairLoss, logits: Decode | None) -> tuple[PairLoss, Decode] | None:
    """Return what takes the logits of masks, and what decodes these, where both are there."""
    return (loss.of_logits, logits) if logits and isinstance(loss, ShownMasks) else None


def _frame(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the size of soft masks at a stride."""
    return size[0] // stride, size[1] // stride


def _pair_sum(
    loss: PairLoss,
    decode: Decode,
    cells: Tensor,
    instances: Tensor,
    measure: PairQuality | None,
) -> tuple[Tensor, Tensor | None]:
    """Decode cells, add up the losses of the pairs that they make with instances, and measure them, if asked."""
    soft, *logits = decode(cells)
    # Measured last: on the way back, where it is decoded again, it is over before.
    return loss(soft, instances, *logits), measure(soft, instances) if measure else None
