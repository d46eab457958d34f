import random

import pytest

from solo.data.seeding import seeded_by


def test_seeded_by_puts_states_back_after_an_error():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    with pytest.raises(KeyError), seeded_by(1, 2):
        raise KeyError
    assert random.random() == expected
