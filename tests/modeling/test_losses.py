import pytest
import torch
from torch.nn import functional as F

from solo.modeling import losses
from solo.modeling.losses import (
    dice_loss,
    dice_loss_of_logits,
    focal_loss,
    zero_gradient_anchor,
)


def test_dice_by_hand():
    soft = torch.tensor([[[1.0, 0.5], [0.0, 0.0]]])
    masks = torch.tensor([[[True, False], [True, False]]])
    # overlap 1, squares 1.25 + 2
    assert dice_loss(soft, masks, torch.tensor([0])).item() == pytest.approx(1 - 2 / 3.252)


def test_perfect_logits_give_a_small_dice():
    """A second sigmoid, as in the early code, would cap what can be learned."""
    masks = torch.rand(4, 16, 16) > 0.5
    logits = torch.where(masks, 12.0, -12.0)
    assert (dice_loss(logits.sigmoid(), masks, torch.arange(4)) < 0.01).all()


def test_dice_of_empty_masks_is_finite():
    soft = torch.zeros(1, 4, 4, requires_grad=True)
    empty = torch.zeros(1, 4, 4, dtype=torch.bool)
    loss = dice_loss(soft, empty, torch.tensor([0])).sum()
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(soft.grad).all()
    nothing = torch.tensor([], dtype=torch.int64)
    assert dice_loss(torch.zeros(0, 4, 4), empty[:0], nothing).shape == (0,)
    assert dice_loss(torch.zeros(0, 4, 4), empty, nothing).shape == (0,)


@pytest.mark.parametrize("pixels", [1, 200, 1 << 20], ids=["one by one", "in parts", "at once"])
def test_gradient_of_dice_is_that_of_its_formula(pixels, monkeypatch):
    monkeypatch.setattr(losses, "_PIXELS_AT_A_TIME", pixels)
    soft = torch.rand(7, 8, 8, requires_grad=True)
    masks, instances = torch.rand(3, 8, 8) > 0.5, torch.tensor([2, 0, 0, 1, 2, 2, 1])
    weights = torch.rand(7)
    actual = dice_loss(soft, masks, instances)
    (gradient,) = torch.autograd.grad((actual * weights).sum(), soft)
    target = masks[instances].float()
    squares = soft.square().sum(dim=(1, 2)) + target.sum(dim=(1, 2)) + 0.002
    expected = 1 - 2 * (soft * target).sum(dim=(1, 2)) / squares
    (reference,) = torch.autograd.grad((expected * weights).sum(), soft)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(gradient, reference)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_dice_of_logits_is_that_of_their_sigmoids_bit_by_bit(dtype, smooth, monkeypatch):
    monkeypatch.setattr(losses, "_PIXELS_AT_A_TIME", 200)
    logits = (torch.randn(7, 8, 8) * 4).to(dtype).requires_grad_()
    masks, instances = torch.rand(3, 8, 8) > 0.5, torch.tensor([2, 0, 0, 1, 2, 2, 1])
    found, expected = (
        (loss, torch.autograd.grad((loss * torch.arange(7)).sum(), logits)[0])
        for loss in (
            dice_loss_of_logits(logits, masks, instances, smooth=smooth),
            dice_loss(logits.float().sigmoid(), masks, instances, smooth=smooth),
        )
    )
    assert torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1])
    assert found[1].dtype == dtype


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 1.0), (0.75, 3.0)])
def test_focal_equals_the_one_hot_formula(alpha, gamma):
    """Equation 5 of arXiv 1708.02002 on one-hot targets, as fvcore writes it."""
    logits = torch.randn(2, 30, 4, dtype=torch.float32) * 3
    categories = torch.randint(0, 5, (2, 30))
    targets = F.one_hot(categories, 5)[..., :4].float()
    probability = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_t = probability * targets + (1 - probability) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    expected = (alpha_t * entropy * (1 - p_t) ** gamma).sum()
    torch.testing.assert_close(focal_loss(logits, categories, alpha=alpha, gamma=gamma), expected)


@pytest.mark.parametrize("value", [100.0, -100.0])
def test_focal_gradient_is_finite_at_extremes(value):
    logits = torch.full((1, 6, 3), value, requires_grad=True)
    categories = torch.tensor([[0, 1, 2, 3, 3, 0]])
    focal_loss(logits, categories, alpha=0.25, gamma=2.0).backward()
    assert torch.isfinite(logits.grad).all()


def test_touch_gives_zero_gradients():
    parameters = [torch.randn(3, 4, requires_grad=True), torch.randn(2, requires_grad=True)]
    zero_gradient_anchor(parameters).backward()
    assert all((parameter.grad == 0).all() for parameter in parameters)
