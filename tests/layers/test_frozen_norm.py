"""Frozen batch normalisation, beside detectron2's."""

import pytest
import torch
from detectron2.layers import FrozenBatchNorm2d
from torch import nn

from solo.layers.frozen_norm import FrozenNorm, freeze_in_place


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("trained", [True, False])
def test_it_is_detectron2s_bit_by_bit(dtype, trained):
    torch.manual_seed(0)
    theirs = FrozenBatchNorm2d(6)
    for buffer in theirs.buffers():
        buffer.uniform_(0.5, 2)
    ours = nn.Sequential(FrozenBatchNorm2d(6))
    ours[0].load_state_dict(theirs.state_dict())
    freeze_in_place(ours)
    assert isinstance(ours[0], FrozenNorm)
    features = torch.randn(2, 6, 5, 4, dtype=dtype).requires_grad_(trained)
    results = [norm(features) for norm in (ours, theirs)]
    assert torch.equal(*results)
    if trained:
        gradients = [torch.autograd.grad(out.square().sum(), features)[0] for out in results]
        assert torch.equal(*gradients)
