"""The start of a training, as people read it."""

import pytest
from torch.utils.data import DataLoader

from solo.training.first_words import tell_task
from tests.training.training_toys import toy_config


@pytest.mark.parametrize(
    ("images", "said"), [(1, "2,000"), (20, "100"), (21, "95.2"), (4000, "0.5")]
)
def test_epochs_are_plain_numbers(tmp_path, capsys, images, said):
    cfg = toy_config(tmp_path, MAX_ITER=2000, IMS_PER_BATCH=1)
    tell_task(cfg, DataLoader([0] * images), 0)
    assert f"2,000 iterations of 1 image = {said} epochs, " in capsys.readouterr().out
