"""Rank & Sort loss: the cells of objects above all background, and those of better masks above those of worse.

The loss counts, so it has no derivative; its gradient is the error that each entry makes, or suffers from.

Legend: E entries, one logit of a cell and a class each; P positive ones, those of all workers, ascending in logit;
N the others of this worker, where they count.
"""

from typing import Any, NamedTuple

import torch
from detectron2.utils import comm
from torch import Tensor

from solo.layers.all_workers import rows_of_workers, sum_over_workers
from solo.modeling.losses import positive_entries

# Delta of the paper: a step of height 1 is a ramp from -.5 to .5, in logits.
_REACH = 0.5
# Pairs of positive entries that are compared at a time (8 MB each of some matrices).
_PAIRS_AT_A_TIME = 1 << 20


def rank_sort_loss(logits: Tensor, categories: Tensor, quality: Tensor) -> Tensor:
    """Return this worker's share of the Rank & Sort loss; the shares of all add up to the loss of all their cells.

    It is divided by the positive entries of all workers. Time and memory grow with E, and with P ** 2 for what is
    positive, in parts of bounded memory.

    Args:
        logits: (..., K).
        categories: (...) int64 in [0, K], K for the background.
        quality: (...) float32 in [0, 1], the continuous label of each positive cell. Where it is 0, the cell
            has to be above the background nevertheless.

    Returns:
        A float32 scalar.

    Source:
        arXiv 2107.11669: its RS Loss, with the gradient of the identity update and a delta of 0.5.
    """
    logits = logits.flatten(end_dim=-2).float()
    rows, columns = positive_entries(categories.flatten(), logits)
    with torch.no_grad(), torch.autocast(logits.device.type, enabled=False):
        errors = _errors(logits, rows * logits.shape[1] + columns, quality.flatten()[rows])
    loss: Tensor = _Errors.apply(logits, *errors)
    return loss


class _Errors(torch.autograd.Function):
    """A value with a gradient that is known already."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (of_logits,) = ctx.saved_tensors
        return gradient * of_logits, None, None


def _errors(logits: Tensor, positive: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """Return this worker's share of the loss, and its gradient, (E / K, K) as the logits.

    Args:
        logits: (E / K, K).
        positive: Numbers of this worker's positive entries.
        quality: Of each.
    """
    entries, gradient = logits.flatten(), torch.zeros_like(logits).flatten()
    own = torch.stack([entries[positive], quality.float()], dim=1).double()
    parts = rows_of_workers(own)
    scores, labels = torch.cat(parts).unbind(dim=1)
    if not len(scores):
        return logits.new_zeros(()), gradient.view_as(logits)
    scores, order = scores.sort()
    # What lies further below all positive entries takes part in no error.
    counts = entries > scores[0] - _REACH
    counts[positive] = False
    negative = counts.nonzero()[:, 0]
    background = _Background.of(entries[negative].double(), scores)
    above, sorting, moved = _sorting_errors(scores, labels[order])
    false = sum_over_workers(background.above(scores))
    rank = above + false
    gradient[negative] = background.weighed(scores, 1 / rank).float() / len(scores)
    errors = torch.stack([false / rank + sorting, moved - false / rank])
    errors = errors[:, order.argsort()] / len(scores)  # in the order of the workers again
    first = sum(map(len, parts[: comm.get_rank()]))
    value, pushes = errors[:, first : first + len(own)]
    gradient[positive] = pushes.float()
    return value.sum().float(), gradient.view_as(logits)


class _Background(NamedTuple):
    """Negative entries among the positive ones, each of which it lies above wholly, in part, or not at all.

    Sums over ramps are taken from running sums: no negative entry meets a positive one.

    Attributes:
        scores: (N,) float64.
        whole: (N,) so many positive entries, the lowest, it lies above by a `_REACH` and more ...
        part: (N,) ... and above so many, with these, in part.
    """

    scores: Tensor
    whole: Tensor
    part: Tensor

    @classmethod
    def of(cls, scores: Tensor, positive: Tensor) -> "_Background":
        """Look up (N,) scores among those of (P,) positive entries, ascending."""
        whole = torch.searchsorted(positive, scores - _REACH, right=True)
        return cls(scores, whole, torch.searchsorted(positive, scores + _REACH))

    def above(self, positive: Tensor) -> Tensor:
        """Return how much background lies above each of the (P,) positive entries."""
        ends = torch.stack([self.whole, self.part])
        ones = torch.ones_like(self.scores)
        begun, over = (_running(end, ones, len(positive)) for end in ends)
        sums_begun, sums_over = (_running(end, self.scores, len(positive)) for end in ends)
        within, sums = begun - over, sums_begun - sums_over
        ramps = (sums - within * positive) / (2 * _REACH) + within / 2
        return (len(self.scores) - begun + ramps).clamp(min=0)

    def weighed(self, positive: Tensor, weights: Tensor) -> Tensor:
        """Return for each negative entry the weights of the positive ones below it, as far as it lies above."""
        zero = weights.new_zeros(1)
        total = torch.cat([zero, weights]).cumsum(0)
        moments = torch.cat([zero, weights * positive]).cumsum(0)
        within = total[self.part] - total[self.whole]
        within_moments = moments[self.part] - moments[self.whole]
        ramps = (within * self.scores - within_moments) / (2 * _REACH) + within / 2
        return total[self.whole] + ramps


def _running(places: Tensor, values: Tensor, count: int) -> Tensor:
    """Add values up by places, and return for each of the first `count` the sum up to it, itself included."""
    return values.new_zeros(count + 1).index_add_(0, places, values).cumsum(0)[:-1]


def _sorting_errors(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compare positive entries with each other.

    Args:
        scores: (P,) float64.
        labels: (P,) float64.

    Returns:
        (P,) each: how many positive entries are above; the sorting error beyond the one that remains when they
        are sorted; and the gradient of the sum of these errors: minus its own of each that suffers, plus those
        that each makes, who lies above entries of greater labels.
    """
    above, errors, gradient = (torch.zeros_like(scores) for _ in range(3))
    count = max(_PAIRS_AT_A_TIME // len(scores), 1)
    for start in range(0, len(scores), count):
        rows = slice(start, start + count)
        steps = ((scores - scores[rows, None]) / (2 * _REACH) + 0.5).clamp(0, 1)
        wrong = torch.where(labels < labels[rows, None], steps, 0)
        right = steps - wrong
        above[rows] = steps.sum(dim=1)
        target = right @ (1 - labels) / right.sum(dim=1)
        misplaced = wrong.sum(dim=1)
        error = torch.where(misplaced > 0, steps @ (1 - labels) / above[rows] - target, 0)
        errors[rows] = error
        gradient[rows] -= error
        gradient += (error / misplaced.clamp(min=1e-10)) @ wrong
    return above, errors, gradient
