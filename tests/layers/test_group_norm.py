"""Group normalisation with ReLU, in training in bfloat16, beside torch's own in float64."""

import pytest
import torch
from detectron2.layers import get_norm
from torch import nn
from torch.nn import functional as F

from solo.layers.conv import Deform, conv_norm_relu, conv_tower
from solo.layers.group_norm import group_norm_relu, norm_relu

SHAPES = [(1, 32, 5, 7), (2, 64, 9, 4), (3, 96, 1, 6), (1, 256, 40, 33)]


def draw(shape, dtype=torch.bfloat16, scale=3.0, offset=1.0):
    features = scale * torch.randn(shape, generator=torch.Generator().manual_seed(0)) + offset
    return features.to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()


def affine(channels, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    pair = torch.randn(2, channels, generator=generator).to(dtype)
    return pair[0].clone().requires_grad_(), pair[1].clone().requires_grad_()


def plain(features, weight, bias, groups):
    return F.relu(F.group_norm(features, groups, weight, bias))


def results(function, features, weight, bias, groups=32):
    """Return the output and the gradients of features, weight and bias."""
    output = function(features, weight, bias, groups)
    generator = torch.Generator().manual_seed(2)
    # Representable in bfloat16: so all see the same.
    gradient = torch.randn(output.shape, generator=generator).bfloat16().to(output.dtype)
    return output.detach(), *torch.autograd.grad(output, (features, weight, bias), gradient)


def in_float64(features, weight, bias):
    return [value.detach().double().requires_grad_() for value in (features, weight, bias)]


def errors(found, wanted):
    return [float((a.double() - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True)]


@pytest.mark.parametrize("shape", SHAPES)
def test_errors_in_bfloat16_are_no_larger_than_those_of_torch(shape):
    given = draw(shape), *affine(shape[1])
    wanted = results(plain, *in_float64(*given))
    ours, theirs = (errors(results(kind, *given), wanted) for kind in (group_norm_relu, plain))
    # Where torch rounds as often, chance decides between the two.
    assert all(mine <= 1.02 * other + 1e-6 for mine, other in zip(ours, theirs, strict=True))
    assert max(ours[:2]) < 4e-3


def test_a_map_by_hand():
    # Two groups of two channels with means 2 and 0 and variances 1 and 4.
    features = torch.tensor([1.0, 3.0, -2.0, 2.0]).bfloat16().view(1, 4, 1, 1).requires_grad_()
    weight, bias = torch.ones(4), torch.tensor([0.0, 1.0, 0.0, -0.5])
    output = group_norm_relu(features, weight, bias, 2, eps=0.0)
    assert output.flatten().tolist() == [0, 2, 0, 0.5]


def test_gradients_are_those_of_the_function():
    given = draw((2, 8, 3, 2), torch.float64), *affine(8, torch.float64)
    assert torch.autograd.gradcheck(lambda *values: group_norm_relu(*values, 4), given)


def test_a_gradient_of_any_layout_will_do():
    given = draw((2, 64, 6, 5)), *affine(64)
    output = group_norm_relu(*given, 32)
    gradient = torch.randn(output.shape).bfloat16()
    for other in (gradient, gradient[:, :1].expand_as(output)):
        (found,) = torch.autograd.grad(output, given[0], other, retain_graph=True)
        alike = other.contiguous(memory_format=torch.channels_last)
        (wanted,) = torch.autograd.grad(output, given[0], alike, retain_graph=True)
        assert torch.equal(found, wanted)


def uses_ours(features, norm=None):
    norm = norm or get_norm("GN", features.shape[1])
    return "GroupNormReLU" in type(norm_relu(norm, features).grad_fn).__name__


def test_only_training_in_bfloat16_and_channels_last_is_ours():
    features = draw((2, 64, 6, 5))
    assert uses_ours(features)
    assert not uses_ours(draw((2, 64, 6, 5), torch.float32))
    assert not uses_ours(features.detach().contiguous().requires_grad_())
    assert not uses_ours(draw((2, 64, 1, 1)))  # which is as contiguous
    assert not uses_ours(features, nn.GroupNorm(32, 64, affine=False))
    with torch.no_grad():
        assert not uses_ours(features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inference_is_torchs_own(dtype):
    features, norm = draw((2, 64, 6, 5), dtype), get_norm("GN", 64)
    with torch.no_grad():
        assert torch.equal(norm_relu(norm, features), F.relu(norm(features)))


def test_float32_is_torchs_own_in_training_too():
    features, norm = draw((2, 64, 6, 5), torch.float32), get_norm("GN", 64)
    given = features, norm.weight, norm.bias
    found = results(lambda *values: norm_relu(norm, values[0]), *given)
    assert all(map(torch.equal, found, results(plain, *given)))


def test_other_channels_are_refused_as_torch_does():
    with pytest.raises(RuntimeError, match="Expected weight to be a vector"):
        norm_relu(get_norm("GN", 64), draw((2, 32, 6, 5)))


def test_names_of_weights_are_as_ever():
    layer = conv_norm_relu(32, 64, norm="GN")
    assert set(layer.state_dict()) == {"weight", "norm.weight", "norm.bias"}
    assert set(conv_norm_relu(32, 64, norm="").state_dict()) == {"weight", "bias"}


@pytest.mark.parametrize("recompute", ["cheap", "all"])
def test_towers_that_recompute_have_the_gradients_of_a_plain_one(recompute):
    gradients = []
    for kind in ("none", recompute):
        torch.manual_seed(0)
        tower = conv_tower(32, 32, num_convs=2, norm="GN", deform=Deform(), recompute=kind)
        tower.to(memory_format=torch.channels_last)
        features = draw((2, 32, 6, 5), torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            output = tower(features)
        assert output.dtype == torch.bfloat16
        output.float().square().sum().backward()
        gradients.append([features.grad, *(part.grad for part in tower.parameters())])
    assert all(map(torch.equal, *gradients))


def test_traces_and_exports_know_torchs_own_only():
    layer = conv_norm_relu(32, 32, norm="GN").to(memory_format=torch.channels_last).bfloat16()
    layer.norm.float()
    features = draw((1, 32, 4, 4))
    traced = torch.jit.trace(layer, features, check_trace=False)
    assert "aten::group_norm" in str(traced.inlined_graph)
    exported = torch.export.export(layer, (features.detach(),), strict=False)
    assert any("group_norm" in str(node.target) for node in exported.graph.nodes)
