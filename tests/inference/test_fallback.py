import pytest
import torch
from torch import nn

from solo.inference.fallback import WithCPUFallback, memory_advice
from tests.conftest import make_cfg
from tests.yolox.conftest import make_yolox_cfg


class Small(nn.Module):
    """A model whose GPU, has no memory for large images."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.where = "gpu"
        self.ran = []

    @property
    def device(self):
        return torch.device("cpu")

    def to(self, device):
        self.where = "cpu" if self.where == "gpu" else "gpu"
        return self

    def forward(self, inputs):
        if self.where == "gpu" and inputs[0]["size"] > 10:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
        self.ran.append((inputs[0]["size"], self.where))
        return inputs


def test_only_what_does_not_fit_runs_on_the_cpu_and_it_is_said_once(caplog):
    model = Small()
    evaluated = WithCPUFallback(model)
    for size in (5, 20, 6, 30):
        assert evaluated([{"size": size}]) == [{"size": size}]
    assert model.ran == [(5, "gpu"), (20, "cpu"), (6, "gpu"), (30, "cpu")]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Tried to allocate 2 GiB)" in caplog.text


def test_the_mode_is_that_of_the_model():
    assert not WithCPUFallback(Small().eval()).training
    assert WithCPUFallback(Small()).training


def test_other_errors_are_raised_and_the_model_stays():
    model = Small()
    model.forward = lambda inputs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        WithCPUFallback(model)([{"size": 1}])
    assert model.where == "gpu"


def test_what_it_advises_are_keys_of_the_model(caplog):
    WithCPUFallback(Small(), memory_advice(make_cfg()))([{"size": 20}])
    assert caplog.messages[-1].endswith(
        "run on the CPU. Lower INPUT.MIN_SIZE_TEST (TEST.AUG.MIN_SIZES) or "
        "MODEL.SOLO.TEST.MAX_CANDIDATES, or set MODEL.SOLO.TEST.MASK_FORMAT to 'rle'."
    )
    WithCPUFallback(Small(), memory_advice(make_yolox_cfg()))([{"size": 20}])
    assert caplog.messages[-1].endswith("run on the CPU. Lower INPUT.MIN_SIZE_TEST.")
