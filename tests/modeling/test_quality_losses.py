"""Category losses that learn a quality, beside their papers' equations, an entry at a time."""

import math

import pytest
import torch

from solo.modeling.losses import focal_loss
from solo.modeling.quality_losses import quality_branch_loss, quality_focal_loss, varifocal_loss
from tests.modeling.test_rank_sort import labels_of, scene


def quality_focal(p, y):
    """Equation 2 of arXiv 2006.04388, beta 2."""
    return -(abs(y - p) ** 2) * ((1 - y) * math.log(1 - p) + y * math.log(p))


def varifocal(p, q):
    """Equation 2 of arXiv 2008.13367, alpha .75 and gamma 2."""
    if q > 0:
        return -q * (q * math.log(p) + (1 - q) * math.log(1 - p))
    return -0.75 * p**2 * math.log(1 - p)


LOSSES = {
    "quality_focal": (quality_focal, quality_focal_loss, {"gamma": 2.0}),
    "varifocal": (varifocal, varifocal_loss, {"alpha": 0.25, "gamma": 2.0}),
}
each = pytest.mark.parametrize("name", LOSSES)


def by_loop(term, logits, labels):
    return sum(
        term(1 / (1 + math.exp(-logit)), label or 0.0)
        for logit, label in zip(logits.double().flatten().tolist(), labels, strict=True)
    )


@each
def test_equals_the_loop(name):
    term, loss, options = LOSSES[name]
    for seed in range(3):
        logits, categories, quality = scene(seed)
        expected = by_loop(term, logits, labels_of(categories, quality))
        assert loss(logits, categories, quality, **options).item() == pytest.approx(
            expected, rel=1e-5
        )


@each
def test_gradient_by_finite_differences(name):
    term, loss, options = LOSSES[name]
    logits, categories, quality = scene()
    labels = labels_of(categories, quality)
    logits.requires_grad_()
    loss(logits, categories, quality, **options).backward()
    places = [0, 17, *(entry for entry, label in enumerate(labels) if label is not None)][:8]
    for place in places:
        x, label = logits.flatten()[place].item(), labels[place]
        above, below = (
            by_loop(term, torch.tensor(x + d, dtype=torch.float64), [label]) for d in (1e-4, -1e-4)
        )
        slope = (above - below) / 2e-4
        assert logits.grad.flatten()[place].item() == pytest.approx(slope, rel=1e-2, abs=1e-5)


def test_of_perfect_masks_quality_focal_is_focal():
    logits, categories, _ = scene()
    perfect = (categories < 4).float()
    expected = 2 * focal_loss(logits, categories, alpha=0.5, gamma=2.0)
    torch.testing.assert_close(quality_focal_loss(logits, categories, perfect, gamma=2.0), expected)


@each
def test_is_finite_for_sure_logits_and_without_objects(name):
    _, loss, options = LOSSES[name]
    logits, categories, quality = scene(spread=200.0)
    logits.requires_grad_()
    total = loss(logits, categories, quality, **options)
    total = total + loss(logits, torch.full_like(categories, 4), quality * 0, **options)
    total.backward()
    assert total.isfinite() and logits.grad.isfinite().all()


def test_the_branch_learns_positive_cells_alone():
    """A logit of 0 costs log 2 whatever the quality; the gradient is p - quality."""
    levels = [torch.zeros(1, 1, 1, 1), torch.tensor([2.0, 0.0, -1.0, 1.0]).view(1, 1, 2, 2)]
    for level in levels:
        level.requires_grad_()
    positive = torch.tensor([[True, False, True, False, False]])
    quality = torch.tensor([[0.8, 0.0, 0.0, 0.0, 0.0]])
    loss = quality_branch_loss(levels, positive, quality) / 2
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert levels[0].grad.item() == pytest.approx(-0.15)
    assert levels[1].grad.flatten().tolist() == [0, 0.25, 0, 0]
