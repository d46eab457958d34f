"""The losses, as pure functions in float32.

Legend: P positive pairs, M instances, H, W soft mask size, K classes.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from solo.layers.masks import count_pixels
from solo.layers.transfer import to_device

# Pixels of soft masks that the dice loss looks at at a time: 2 MB, for the cache; where there is none to fit, 32 MB.
_PIXELS_AT_A_TIME = 1 << 19
_ON_DEVICES = 1 << 23


def dice_loss(
    soft_masks: Tensor,
    masks: Tensor,
    instances: Tensor,
    *,
    smooth: float = 0.0,
    within: Tensor | None = None,
) -> Tensor:
    """Return one minus the soft Dice coefficient of each pair of a soft mask and an instance.

    Args:
        soft_masks: (P, H, W) probabilities.
        masks: (M, H, W) bool, one for each instance.
        instances: (P,) the instance that each soft mask should show.
        smooth: Added to both parts of the fraction, in pixels.
        within: (M, H, W) bool, the pixels that count, all those of `masks` among them. None: all.

    Returns:
        (P,) float32 in [0, 1].

    Source:
        SOLO equation 5. Where nothing is `smooth`, .001 is added to each squared sum, as in the official code.
    """
    return _Dice.apply(soft_masks.float(), masks, instances, smooth, within, False)


def dice_loss_of_logits(
    logits: Tensor, masks: Tensor, instances: Tensor, *, smooth: float = 0.0
) -> Tensor:
    """Return the dice loss of the sigmoids of logits, to the last bit, without a tensor of these.

    Args:
        logits: (P, H, W) of any type; calculated with in float32.
        masks: As for `dice_loss`, like the rest.
        instances: Likewise.
        smooth: Likewise.

    Returns:
        (P,) float32 in [0, 1].
    """
    return _Dice.apply(logits, masks, instances, smooth, None, True)


class _Dice(torch.autograd.Function):
    """Dice and its gradient, a few pairs at a time: nothing of the size of the soft masks, or their logits, but these.

    With n twice the sum of p * t and d the sum of the squares of p and t, both smoothed: the loss is 1 - n / d,
    and its gradient 2 n / d ** 2 * p - 2 / d * t.
    """

    @staticmethod
    def forward(
        ctx: Any,
        soft_masks: Tensor,
        masks: Tensor,
        instances: Tensor,
        smooth: float,
        within: Tensor | None,
        are_logits: bool,
    ) -> Tensor:
        ctx.are_logits = are_logits
        squares = count_pixels(masks)[1].sum(dim=1)[instances].float() + (smooth or 0.002)
        overlaps = torch.empty_like(squares)
        for part in pairs_at_a_time(soft_masks):
            soft, target = _probabilities(soft_masks[part], are_logits), masks[instances[part]]
            overlaps[part] = torch.where(target, soft, 0).sum(dim=(1, 2))
            if within is not None:
                soft = torch.where(within[instances[part]], soft, 0)
            squares[part] += soft.square().sum(dim=(1, 2))
        twice = 2 * overlaps + smooth
        ctx.save_for_backward(soft_masks, masks, instances, twice, squares, within)
        return 1 - twice / squares

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        soft_masks, masks, instances, twice, squares, within = ctx.saved_tensors
        of_soft = (gradient * 2 * twice / squares.square()).view(-1, 1, 1)
        of_target = (gradient * 2 / squares).view(-1, 1, 1)
        result = torch.empty_like(soft_masks)
        for part in pairs_at_a_time(soft_masks):
            soft = _probabilities(soft_masks[part], ctx.are_logits)
            change = soft * of_soft[part]
            change -= masks[instances[part]] * of_target[part]
            if within is not None:
                change *= within[instances[part]]
            if ctx.are_logits:
                change *= 1 - soft
                change *= soft
            result[part] = change
        return result, None, None, None, None, None


def _probabilities(values: Tensor, are_logits: bool) -> Tensor:
    return values.float().sigmoid() if are_logits else values


def pairs_at_a_time(soft_masks: Tensor) -> Iterator[slice]:
    """Yield slices of pairs that fit a cache."""
    pixels = _PIXELS_AT_A_TIME if soft_masks.device.type == "cpu" else _ON_DEVICES
    count = max(pixels // max(soft_masks[0].numel(), 1), 1) if len(soft_masks) else 1
    for start in range(0, len(soft_masks), count):
        yield slice(start, start + count)


def focal_loss(logits: Tensor, categories: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the sigmoid focal loss summed over cells and classes.

    Args:
        logits: (..., K).
        categories: (...) int64 in [0, K], K for the background; on the CPU nothing waits for the
            device.
        alpha: Weight of a positive; 1 - alpha of a negative.
        gamma: Exponent of the focusing.

    Returns:
        A float32 scalar.

    Source:
        arXiv 1708.02002 equation 5. Every cell and class is taken as a negative at first, then the
        few positive ones are exchanged: no one-hot targets are made.
    """
    logits = logits.flatten(end_dim=-2).float()
    hits = logits[positive_entries(categories.flatten(), logits)]
    as_negative = (1 - alpha) * focal_term(hits, gamma).sum()
    as_positive = alpha * focal_term(-hits, gamma).sum()
    return (1 - alpha) * focal_term(logits, gamma).sum() - as_negative + as_positive


def positive_entries(categories: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positive cells and their classes, on the device of the logits.

    Args:
        categories: (C,) int64 in [0, K], K for the background; on the CPU nothing waits for the device.
        logits: (C, K).
    """
    positive = (categories < logits.shape[1]).nonzero()[:, 0]
    rows, columns = to_device(torch.stack([positive, categories[positive]]), logits.device)
    return rows, columns


def focal_term(logits: Tensor, gamma: float) -> Tensor:
    """Return the loss of calling these logits background: p ** gamma * -log(1 - p)."""
    return logits.sigmoid().pow(gamma) * F.softplus(logits)


def softmax_loss(logits: Tensor, categories: Tensor) -> Tensor:
    """Return the cross entropy summed over cells.

    Args:
        logits: (..., K + 1), the last of the background.
        categories: (...) int64 in [0, K], K for the background; on the CPU nothing waits for the
            device.

    Returns:
        A float32 scalar.
    """
    logits = logits.flatten(end_dim=-2).float()
    return F.cross_entropy(logits, to_device(categories.flatten(), logits.device), reduction="sum")


def zero_gradient_anchor(parameters: Iterable[Tensor]) -> Tensor:
    """Return a zero that depends on every parameter.

    Added to a loss that may skip some of them, it gives them a gradient of zero: DDP waits for one
    from each parameter, and a batch without positive cells still has a loss to go backward from.
    """
    return sum((parameter.flatten()[0] for parameter in parameters), torch.zeros(())) * 0
