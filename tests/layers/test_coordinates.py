"""Coordinates as features, in the eager way and in the way that is traced."""

import pytest
import torch

from solo.layers.coordinates import coordinate_channels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (336, 25)])
def test_traced_and_eager_agree(monkeypatch, size, dtype):
    features = torch.zeros(2, 3, *size, dtype=dtype)
    eager = coordinate_channels(features)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    traced = coordinate_channels(features)
    assert traced.dtype == dtype and traced.shape == (2, 2, *size)
    tolerance = 1e-6 if dtype == torch.float32 else 2**-8
    torch.testing.assert_close(traced, eager, atol=tolerance, rtol=0)


def test_x_is_first_and_ends_are_one():
    x, y = coordinate_channels(torch.zeros(1, 1, 3, 5))[0]
    assert x[0].tolist() == [-1, -0.5, 0, 0.5, 1] and y[:, 0].tolist() == [-1, 0, 1]
    assert (x == x[:1]).all() and (y == y[:, :1]).all()
