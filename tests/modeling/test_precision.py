"""What mixed precision means on CPUs with and without bfloat16, and when a key says so."""

import logging

import pytest
import torch

from solo.config import get_cfg
from solo.layers import cpu
from solo.modeling.precision import amp_dtype, inference_precision

CPU = torch.device("cpu")


@pytest.fixture(params=[True, False])
def computes(request, monkeypatch):
    features = cpu.Features("", avx2=True, avx512=True, vnni=True, bfloat16=request.param)
    monkeypatch.setattr(cpu, "features", lambda: features)
    return request.param


def test_the_cpu_decides(computes, caplog):
    with caplog.at_level(logging.WARNING):
        assert amp_dtype(CPU) == (torch.bfloat16 if computes else None)
    assert ("AMP.ENABLED has no effect" in caplog.text) is not computes


def test_a_key_decides_on_any_cpu(computes):
    assert amp_dtype(CPU, "on") == torch.bfloat16
    assert amp_dtype(CPU, "off") is None


def test_a_gpu_takes_float16(computes):
    assert amp_dtype(torch.device("cuda"), "off") == torch.float16


@pytest.mark.parametrize("word", ["on", "off"])
@pytest.mark.parametrize("enabled", [True, False])
def test_inference_asks_the_keys(word, enabled):
    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.TEST.AMP.ENABLED, cfg.MODEL.CPU.BFLOAT16 = enabled, word
    with inference_precision(cfg):
        assert torch.is_autocast_enabled("cpu") == (enabled and word == "on")
