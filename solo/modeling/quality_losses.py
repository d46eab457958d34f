"""Category losses whose target is a quality: how well the mask of a cell shows its object, from 0 to 1.

Legend: K classes. Every cell and class is taken as background at first, then the few positive ones are exchanged, as
`focal_loss` does. Sums are over cells and classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from solo.layers.transfer import to_device
from solo.modeling.losses import focal_term, positive_entries


def quality_focal_loss(
    logits: Tensor, categories: Tensor, quality: Tensor, *, gamma: float
) -> Tensor:
    """Return the quality focal loss: |y - p| ** gamma times the binary cross entropy with y, the quality or 0.

    Args:
        logits: (..., K).
        categories: (...) int64 in [0, K], K for the background.
        quality: (...) float32 in [0, 1] of each positive cell.
        gamma: Exponent of the focusing, the paper's beta: where qualities are 1 it is the focal loss's gamma.

    Returns:
        A float32 scalar.

    Source:
        arXiv 2006.04388 equation 2.
    """
    logits, hits, wanted = _with_hits(logits, categories, quality)
    as_positive = (wanted - hits.sigmoid()).abs().pow(gamma) * F.binary_cross_entropy_with_logits(
        hits, wanted, reduction="none"
    )
    return focal_term(logits, gamma).sum() - focal_term(hits, gamma).sum() + as_positive.sum()


def varifocal_loss(
    logits: Tensor, categories: Tensor, quality: Tensor, *, alpha: float, gamma: float
) -> Tensor:
    """Return the varifocal loss: of background as the focal loss, of the rest cross entropy, weighed by the quality.

    Args:
        logits: (..., K).
        categories: (...) int64 in [0, K], K for the background.
        quality: (...) float32 in [0, 1] of each positive cell; 0 counts as background, as in the paper.
        alpha: As of the focal loss: 1 - alpha is the weight of background, the paper's alpha.
        gamma: Exponent of the focusing of background.

    Returns:
        A float32 scalar.

    Source:
        arXiv 2008.13367 equation 2.
    """
    logits, hits, wanted = _with_hits(logits, categories, quality)
    as_negative = (1 - alpha) * focal_term(hits, gamma)
    change = torch.where(
        wanted > 0,
        wanted * F.binary_cross_entropy_with_logits(hits, wanted, reduction="none") - as_negative,
        0,
    )
    return (1 - alpha) * focal_term(logits, gamma).sum() + change.sum()


def quality_branch_loss(logits: Sequence[Tensor], positive: Tensor, quality: Tensor) -> Tensor:
    """Return the binary cross entropy between what a quality branch says and the quality, over positive cells.

    Args:
        logits: Per level, (N, 1, S, S).
        positive: (N, C) bool.
        quality: (N, C) float32 in [0, 1].

    Returns:
        A float32 scalar.
    """
    cells = torch.cat([level.flatten(1) for level in logits], dim=1).float()
    chosen = to_device(positive, cells.device)
    return torch.where(
        chosen, F.binary_cross_entropy_with_logits(cells, quality, reduction="none"), 0
    ).sum()


def _with_hits(
    logits: Tensor, categories: Tensor, quality: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return all logits, (cells, K), those of positive cells and their classes, and the quality of these cells."""
    logits = logits.flatten(end_dim=-2).float()
    rows, columns = positive_entries(categories.flatten(), logits)
    return logits, logits[rows, columns], quality.flatten()[rows]
