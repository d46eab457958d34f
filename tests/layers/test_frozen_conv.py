"""Convolutions with frozen batch normalisation folded in, beside detectron2's."""

import copy

import pytest
import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import nn

from solo.layers.frozen_conv import FrozenConv, fold_frozen_norms
from solo.modeling.fuse import fuse_batch_norm
from tests.conftest import build, make_cfg


def pair(**geometry):
    """A convolution as detectron2 has it, and ours."""
    torch.manual_seed(0)
    norm = FrozenBatchNorm2d(6)
    for buffer in norm.buffers():
        buffer.uniform_(0.5, 2)
    theirs = Conv2d(4, 6, 3, bias=False, norm=norm, activation=nn.functional.relu, **geometry)
    ours = nn.Sequential(copy.deepcopy(theirs))
    fold_frozen_norms(ours)
    assert isinstance(ours[0], FrozenConv)
    return theirs, ours[0]


def run(conv, features):
    """Output, and gradients of the features and the weights."""
    output = conv(features)
    return output, *torch.autograd.grad(output.float().square().sum(), [features, conv.weight])


@pytest.mark.parametrize(
    "geometry", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}]
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_output_and_gradients_are_detectron2s(geometry, memory_format):
    features = torch.randn(2, 4, 9, 8).to(memory_format=memory_format).requires_grad_()
    for found, expected in zip(*(run(conv, features) for conv in pair(**geometry)), strict=True):
        torch.testing.assert_close(
            found, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item()
        )


def test_rounding_of_mixed_precision_is_no_worse():
    theirs, ours = pair()
    features = torch.randn(2, 4, 20, 20, requires_grad=True)
    exact = run(copy.deepcopy(theirs).double(), features.double())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = [run(conv, features) for conv in (ours, theirs)]
    assert rounded[0][0].dtype == torch.bfloat16
    for wanted, *found in zip(exact, *rounded, strict=True):
        error, error_of_theirs = ((one.double() - wanted).norm() for one in found)
        assert error < 1.2 * error_of_theirs < 0.05 * wanted.norm()


def test_without_gradients_it_is_detectron2s_bit_by_bit():
    features = torch.randn(2, 4, 9, 8)
    with torch.no_grad():
        assert torch.equal(*(conv(features) for conv in pair()))


def test_folded_in_for_good_it_has_gradients():
    theirs, ours = pair()
    fuse_batch_norm(ours)
    features = torch.randn(2, 4, 9, 8, requires_grad=True)
    assert ours.norm is None and ours(features).requires_grad
    torch.testing.assert_close(ours(features), theirs(features), rtol=1e-5, atol=1e-5)


def test_what_is_frozen_has_no_gradient():
    _, ours = pair()
    ours.weight.requires_grad_(False)
    features = torch.randn(1, 4, 5, 5)
    assert not ours(features).requires_grad
    assert torch.autograd.grad(ours(features.requires_grad_()).sum(), features)[0].any()


def test_the_checkpoint_is_detectron2s():
    theirs, ours = pair()
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    optimizer = torch.optim.SGD(ours.parameters(), 0.1)
    ours(torch.randn(1, 4, 5, 5)).sum().backward()
    optimizer.step()
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(theirs(features), ours(features), rtol=1e-5, atol=1e-5)


def test_float16_is_detectron2s():
    """The gradient of the scaled weights would overflow, where that of the weights does not."""
    theirs, ours = pair()
    features = torch.randn(2, 4, 9, 8, requires_grad=True)
    with torch.autocast("cpu", torch.float16):
        assert torch.equal(ours(features), theirs(features))


def test_a_trace_has_no_function_of_ours():
    _, ours = pair()
    features = torch.randn(2, 4, 9, 8)
    assert ours(features).grad_fn is not None  # with gradients
    graph = str(torch.jit.trace(ours, features, check_trace=False).inlined_graph)
    assert "aten::_convolution" in graph and "^" not in graph


def test_a_norm_put_in_later_counts():
    _, ours = pair()
    ours.norm = nn.BatchNorm2d(6)
    ours(torch.randn(2, 4, 9, 8))
    assert ours.norm.num_batches_tracked == 1


def test_a_frozen_backbone_is_folded():
    cfg = make_cfg()
    cfg.MODEL.RESNETS.NORM = "FrozenBN"
    convs = [part for part in build(cfg).backbone.modules() if isinstance(part, Conv2d)]
    assert any(isinstance(conv, FrozenConv) for conv in convs)
    assert all(isinstance(c, FrozenConv) == isinstance(c.norm, FrozenBatchNorm2d) for c in convs)


def test_other_convolutions_stay():
    others = nn.Sequential(
        Conv2d(4, 6, 3),
        Conv2d(4, 6, 3, norm=nn.BatchNorm2d(6)),
        nn.Conv2d(4, 6, 3),
        Conv2d(4, 6, 3, padding="same", bias=False, norm=FrozenBatchNorm2d(6)),
    )
    fold_frozen_norms(others)
    assert not any(isinstance(part, FrozenConv) for part in others.modules())
