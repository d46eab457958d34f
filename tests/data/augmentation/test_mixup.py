import numpy as np
import pytest

from solo.data.augmentation.mixup import Mixup
from tests.data.augmentation.conftest import combine, sample_of


@pytest.mark.parametrize("size", [(8, 10), (30, 40)])
def test_mixup_blends_where_both_are(size):
    first = sample_of((16, 20), 100, [(1, 1, 5, 5)], 0)
    second = sample_of(size, 200, [(2, 2, 6, 7)], 1)
    np.random.seed(0)
    mixed = combine(Mixup(prob=1, weight_range=(0.25, 0.25)), first, second)
    assert mixed.image.shape == (16, 20, 3)
    blended = (mixed.image == 175).all(axis=2)
    assert blended.sum() == min(size[0], 16) * min(size[1], 20)
    assert ((mixed.image == 100).all(axis=2) == ~blended).all()
    assert mixed.regions[0] == first.regions[0]
    if size == (8, 10):
        assert mixed.regions[1].category == 1
        top, left = np.argwhere(blended)[0]
        assert mixed.regions[1].box == (left + 2, top + 2, left + 6, top + 7)
