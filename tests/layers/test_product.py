import pytest
import torch

from solo.layers.product import product


def factors(p=5, e=7, n=11, by_rows=True):
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(p, e, generator=generator)
    right = torch.randn(e, n, generator=generator) if by_rows else torch.randn(n, e).t()
    return left.requires_grad_(), right.requires_grad_()


@pytest.mark.parametrize("by_rows", [True, False])
def test_product_and_gradients(by_rows):
    left, right = factors(by_rows=by_rows)
    result = product(left, right)
    torch.testing.assert_close(result, left @ right)
    weight = torch.arange(result.numel()).view_as(result).float()
    ours = torch.autograd.grad((result * weight).sum(), (left, right))
    theirs = torch.autograd.grad((left @ right * weight).sum(), (left, right))
    torch.testing.assert_close(ours, theirs)


def test_gradient_that_is_one_number():
    left, right = factors()
    ours = torch.autograd.grad(product(left, right).sum(), (left, right))
    torch.testing.assert_close(ours, torch.autograd.grad((left @ right).sum(), (left, right)))


def test_gradient_of_one_factor_only():
    left, right = factors()
    (gradient,) = torch.autograd.grad(product(left, right.detach()).sum(), left)
    torch.testing.assert_close(gradient, right.detach().sum(dim=1).expand_as(left))
    with torch.no_grad():
        assert not product(left, right).requires_grad


@pytest.mark.parametrize("p", [0, 1])
@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_single(p, n):
    left, right = factors(p=p, n=n)
    torch.testing.assert_close(product(left, right), left @ right)


def test_follows_autocast_and_other_types():
    left, right = factors()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert product(left, right).dtype == torch.bfloat16
    assert product(left.double(), right.double()).dtype == torch.float64
