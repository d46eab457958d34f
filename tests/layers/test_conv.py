"""Towers that compute something again on the way back."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from solo.layers.conv import Deform, conv_tower

KINDS = {
    "plain": torch.ops.aten.convolution.default,
    "deformable": torch.ops.torchvision.deform_conv2d.default,
}


class ConvolutionCount(TorchDispatchMode):
    """Counts the convolutions of a kind that run."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.count = KINDS[kind], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is self.kind
        return func(*args, **(kwargs or {}))


def tower(recompute="none", convs="none"):
    torch.manual_seed(0)
    return conv_tower(
        32, 32, num_convs=3, norm="GN", deform=Deform(convs), coordinates="x", recompute=recompute
    )


def features():
    return torch.randn(2, 32, 6, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("recompute", "runs"), [("none", 3), ("cheap", 3), ("all", 6)])
def test_only_all_convolves_twice(recompute, runs, kind):
    convs = "all" if kind == "deformable" else "none"
    with ConvolutionCount(kind) as mode:
        tower(recompute, convs)(features()).sum().backward()
    assert mode.count == runs


def test_unknown_recompute_is_refused():
    with pytest.raises(ValueError, match="RECOMPUTE is 'some'; use one of none, cheap, all"):
        tower("some")


@pytest.mark.parametrize("convs", ["none", "last", "all"])
@pytest.mark.parametrize("recompute", ["cheap", "all"])
def test_gradients_are_those_of_a_plain_tower(recompute, convs):
    gradients = []
    for kind in ("none", recompute):
        module, inputs = tower(kind, convs), features()
        module(inputs).square().sum().backward()
        gradients.append([inputs.grad, *(part.grad for part in module.parameters())])
    for plain, lean in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, lean)
