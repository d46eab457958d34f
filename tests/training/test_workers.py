import warnings

import pytest
import torch

from solo.errors import UserError
from solo.layers import cpu
from solo.training import workers
from tests.conftest import make_cfg


@pytest.mark.parametrize("other", [torch.channels_last, torch.contiguous_format])
def test_machines_of_different_kinds_are_told_before_anything_is_averaged(monkeypatch, other):
    laptop = cpu.Features("amd", avx2=True, avx512=False, vnni=False, bfloat16=False)
    monkeypatch.setattr(cpu, "features", lambda: laptop)
    monkeypatch.setattr(workers.comm, "all_gather", lambda mine: [mine, str(other)])
    if other == torch.contiguous_format:
        workers.check_same_format(make_cfg())
    else:
        with pytest.raises(UserError, match=r"set MODEL\.MEMORY_FORMAT to 'contiguous' on all"):
            workers.check_same_format(make_cfg())


def test_losses_that_are_not_finite_are_told_without_a_warning_of_torch():
    losses = {
        "loss_mask": torch.tensor(torch.nan, requires_grad=True),
        "loss_category": torch.ones(()),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = workers.report_losses(losses, [{"file_name": "a.png"}])
    assert told == "loss_category = 1, loss_mask = nan (worker 0, images a.png)"
