"""The losses, as pure functions in float32, and their normalisers summed over the workers.

Legend: P positive pairs, H, W soft mask size, C cells, K classes.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F


def dice_loss(soft_masks: Tensor, masks: Tensor) -> Tensor:
    """Return one minus the soft Dice coefficient of each pair.

    Args:
        soft_masks: (P, H, W) probabilities.
        masks: (P, H, W) bool targets.

    Returns:
        (P,) float32 in [0, 1].

    Source:
        SOLO equation 5, with .001 added to each squared sum as in the official code.
    """
    soft_masks = soft_masks.flatten(1).float()
    masks = masks.flatten(1).float()
    overlap = (soft_masks * masks).sum(dim=1)
    squares = soft_masks.square().sum(dim=1) + masks.sum(dim=1)
    return 1 - 2 * overlap / (squares + 0.002)


def focal_loss(logits: Tensor, categories: Tensor, *, alpha: float, gamma: float) -> Tensor:
    """Return the sigmoid focal loss summed over cells and classes.

    Args:
        logits: (..., K).
        categories: (...) int64 in [0, K], K for the background.
        alpha: Weight of a positive; 1 - alpha of a negative.
        gamma: Exponent of the focusing.

    Returns:
        A float32 scalar.

    Source:
        arXiv 1708.02002 equation 5. Every cell and class is taken as a negative at first, then the
        few positive ones are exchanged: no one-hot targets are made.
    """
    logits = logits.flatten(end_dim=-2).float()
    categories = categories.flatten()
    positive = (categories < logits.shape[1]).nonzero()[:, 0]
    hits = logits[positive, categories[positive]]
    as_negative = (1 - alpha) * _focal_term(hits, gamma).sum()
    as_positive = alpha * _focal_term(-hits, gamma).sum()
    return (1 - alpha) * _focal_term(logits, gamma).sum() - as_negative + as_positive


def _focal_term(logits: Tensor, gamma: float) -> Tensor:
    """Return the loss of calling these logits background: p ** gamma * -log(1 - p)."""
    return logits.sigmoid().pow(gamma) * F.softplus(logits)


def sum_over_workers(count: Tensor) -> Tensor:
    """Add up a number over all workers, so that each divides its loss by the same."""
    if not (dist.is_available() and dist.is_initialized()):
        return count
    total = count.clone()
    dist.all_reduce(total)
    return total


def num_workers() -> int:
    """Return how many workers there are: DDP averages their gradients, losses here want the sum."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def touch(parameters: list[Tensor]) -> Tensor:
    """Return a zero that depends on every parameter.

    Added to a loss that may skip some of them, it gives them a gradient of zero: DDP waits for one
    from each parameter, and a batch without positive cells still has a loss to go backward from.
    """
    return torch.stack([parameter.flatten()[0] for parameter in parameters]).sum() * 0
