"""Rank & Sort loss beside the definitions of its paper, an entry at a time."""

import pytest
import torch

from solo.modeling import rank_sort
from solo.modeling.rank_sort import rank_sort_loss


def step(difference):
    """H of the paper with its delta of .5."""
    return min(max(difference + 0.5, 0.0), 1.0)


def by_loops(scores, labels):
    """RS Loss and its identity update; entries are positive where their label is not None."""
    positive = [i for i, label in enumerate(labels) if label is not None]
    gradient, loss = [0.0] * len(scores), 0.0
    for i in positive:
        above = {j: step(scores[j] - scores[i]) for j in range(len(scores))}
        false = sum(height for j, height in above.items() if labels[j] is None)
        true = {j: above[j] for j in positive}
        ranking = false / sum(above.values())
        better = {j: height for j, height in true.items() if labels[j] >= labels[i]}
        sorting = sum(height * (1 - labels[j]) for j, height in true.items()) / sum(true.values())
        target = sum(height * (1 - labels[j]) for j, height in better.items())
        sorting -= target / sum(better.values())
        loss += ranking + sorting
        for j, height in above.items():
            if labels[j] is None and false:
                gradient[j] += ranking * height / false
        gradient[i] -= ranking
        worse = {j: height for j, height in true.items() if j not in better}
        if sum(worse.values()) > 0:
            gradient[i] -= sorting
            for j, height in worse.items():
                gradient[j] += sorting * height / sum(worse.values())
    count = max(len(positive), 1)
    return loss / count, torch.tensor(gradient) / count


def loss_and_gradient(logits, categories, quality):
    logits = logits.clone().requires_grad_()
    loss = rank_sort_loss(logits, categories, quality)
    loss.backward()
    return loss.item(), logits.grad


def scene(seed=0, spread=1.5):
    """2 images, 30 cells, 4 classes; of a fifth of the cells objects, some of equal quality and some of none."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 30, 4, generator=generator) * spread
    categories = torch.randint(0, 4, (2, 30), generator=generator)
    categories[torch.rand(2, 30, generator=generator) > 0.2] = 4
    quality = (torch.rand(2, 30, generator=generator) * 5).floor() / 4 * (categories < 4)
    return logits, categories, quality


def labels_of(categories, quality, num_classes=4):
    """One label an entry, None for the background."""
    labels = [None] * (categories.numel() * num_classes)
    for cell, category in enumerate(categories.flatten().tolist()):
        if category < num_classes:
            labels[cell * num_classes + category] = quality.flatten()[cell].item()
    return labels


def test_numbers_by_hand():
    """A positive beside a negative of the same score: half of each is above it, of a rank of 1."""
    loss, gradient = loss_and_gradient(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0.7]))
    assert loss == 0.5 and gradient.tolist() == [[0.5, -0.5]]
    # Of two positives the worse one is above: (.5 * .2 + 1 * .8) / 1.5 in place of .2, for one of the two.
    logits, quality = torch.tensor([[0.0], [2.0]]), torch.tensor([0.8, 0.2])
    loss, gradient = loss_and_gradient(logits, torch.tensor([0, 0]), quality)
    assert loss == pytest.approx(0.2) and gradient.flatten().tolist() == pytest.approx([-0.2, 0.2])
    # In the right order nothing is wrong.
    loss, gradient = loss_and_gradient(logits, torch.tensor([0, 0]), 1 - quality)
    assert loss == pytest.approx(0, abs=1e-7) and gradient.abs().max() == 0


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.5, 20.0])
def test_equals_the_loops(spread):
    for seed in range(3):
        logits, categories, quality = scene(seed, spread)
        labels = labels_of(categories, quality)
        assert any(
            label == 0 for label in labels
        )  # of an object, though its mask shows nothing of it
        expected, slopes = by_loops(logits.double().flatten().tolist(), labels)
        loss, gradient = loss_and_gradient(logits, categories, quality)
        assert loss == pytest.approx(expected, rel=1e-5, abs=1e-6)
        torch.testing.assert_close(gradient.flatten(), slopes, atol=1e-6, rtol=1e-4)
        assert gradient.sum().abs() < 1e-5  # what some gain others lose


def test_parts_change_nothing(monkeypatch):
    expected, gradient = loss_and_gradient(*scene())
    monkeypatch.setattr(rank_sort, "_PAIRS_AT_A_TIME", 30)
    loss, others = loss_and_gradient(*scene())
    assert loss == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(others, gradient)


def test_without_objects_or_background():
    logits, categories, quality = scene()
    loss, gradient = loss_and_gradient(logits, torch.full_like(categories, 4), quality * 0)
    assert loss == 0 and gradient.abs().max() == 0
    loss, gradient = loss_and_gradient(torch.randn(6, 1), torch.zeros(6).long(), torch.rand(6))
    assert 0 < loss < 1 and torch.isfinite(gradient).all()


def test_mixed_precision_is_of_float32():
    logits, categories, quality = scene()
    logits = logits.bfloat16()
    expected, slopes = loss_and_gradient(logits.float(), categories, quality)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, gradient = loss_and_gradient(logits, categories, quality)
    assert loss == expected and torch.equal(gradient, slopes.bfloat16())


def test_descent_puts_objects_above_the_background_in_the_order_of_their_masks():
    logits, categories, quality = scene()
    quality = torch.rand(2, 30) * (categories < 4)
    logits.requires_grad_()
    for _ in range(400):
        (gradient,) = torch.autograd.grad(rank_sort_loss(logits, categories, quality), logits)
        logits.data -= 3 * gradient
    labels = labels_of(categories, quality)
    order = logits.detach().flatten().argsort(descending=True).tolist()
    count = int((categories < 4).sum())
    found = [labels[entry] for entry in order[:count]]
    assert None not in found and found == sorted(found, reverse=True)
