"""The choices with features forced, and the features with CPUs forced."""

import numpy as np
import pytest
import torch

from solo.layers import cpu

LAPTOP = cpu.Features("amd", avx2=True, avx512=False, vnni=False, bfloat16=False)
SERVER = cpu.Features("intel", avx2=True, avx512=True, vnni=True, bfloat16=True)
# As Linux lists them.
FLAGS = "fpu sse4_2 avx2 avx512f avx512bw avx512_vnni avx512_bf16"


@pytest.fixture
def on(monkeypatch):
    """Let the machine have certain features."""
    return lambda features: monkeypatch.setattr(cpu, "features", lambda: features)


@pytest.fixture
def detect(monkeypatch):
    """Detect the features of a machine that says certain things of itself."""

    def detect(flags, vendor="AuthenticAMD", machine="x86_64", aten="AVX512", limit=None):
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
        linux = {"flags": flags, "vendor_id": vendor}
        monkeypatch.setattr(cpu, "_of_linux", lambda field: linux.get(field, ""))
        monkeypatch.setattr(cpu.platform, "machine", lambda: machine)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: aten)
        if limit is None:
            monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
        else:
            monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
        return cpu.features.__wrapped__()

    return detect


def test_a_server_and_a_laptop_are_told_apart(detect):
    assert detect(FLAGS, vendor="GenuineIntel") == SERVER
    assert detect("fpu avx2 avx_vnni", aten="AVX2") == LAPTOP
    assert detect("fpu sse4_2", aten="DEFAULT") == LAPTOP._replace(avx2=False)


def test_torch_tells_what_linux_would(detect, monkeypatch):
    names = ("avx2", "avx512_f", "avx512_bw", "avx512_vnni", "avx512_bf16", "num_cores")
    detect("")
    capabilities = {**dict.fromkeys(names[:-1], True), "num_cores": 2, "amx_tile": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert cpu.features.__wrapped__() == SERVER._replace(vendor="amd")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("AVX2", LAPTOP),
        ("avx2_vnni", LAPTOP),
        ("AVX512_CORE", LAPTOP._replace(avx512=True)),
        ("AVX512_CORE_VNNI", LAPTOP._replace(avx512=True, vnni=True)),
        ("AVX512_CORE_AMX", SERVER._replace(vendor="amd")),
        ("DEFAULT", SERVER._replace(vendor="amd")),
    ],
)
def test_limits_of_onednn_are_heeded(detect, limit, expected):
    assert detect(FLAGS, limit=limit) == expected


def test_limits_of_torch_are_heeded(detect):
    assert detect(FLAGS, aten="AVX2") == LAPTOP


def test_arm_has_none_of_them(detect, monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True, raising=False)
    found = detect(FLAGS, machine="aarch64", aten="DEFAULT")
    assert found == cpu.Features("", avx2=False, avx512=False, vnni=False, bfloat16=True)


def test_arm_without_onednn_has_no_bfloat16(detect, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops, "mkldnn", None)
    assert not detect("", vendor="", machine="arm64", aten="DEFAULT").bfloat16


def test_this_machine_has_a_name_and_cores():
    assert cpu.name() and cpu.usable_cores() >= 1
    assert isinstance(cpu.features().describe(), str)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="a torch without oneDNN")
def test_choices_follow_the_features(on, monkeypatch):
    monkeypatch.setattr(cpu.platform, "machine", lambda: "x86_64")
    on(SERVER)
    assert cpu.intersection_kernel() == "bytes"
    assert cpu.product_kernel() == "blas"  # MKL is Intel's own
    assert cpu.prefers_channels_last(training=True) and cpu.prefers_channels_last(training=False)
    assert cpu.computes_in_bfloat16()
    on(LAPTOP)
    assert cpu.intersection_kernel() == ("bits" if hasattr(np, "bitwise_count") else "float32")
    assert cpu.product_kernel() == "onednn"
    assert not cpu.prefers_channels_last(training=True)
    assert not cpu.computes_in_bfloat16()


def test_a_torch_without_onednn(on, monkeypatch):
    on(SERVER._replace(vendor="amd"))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert cpu.intersection_kernel() != "bytes" and cpu.product_kernel() == "blas"


def test_an_older_numpy_counts_no_bits(on, monkeypatch):
    on(LAPTOP)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert cpu.intersection_kernel() == "float32"


def test_a_key_forces_another_choice(on):
    on(LAPTOP)
    assert cpu.intersection_kernel("bytes") == "bytes"
    assert cpu.product_kernel("blas") == "blas"
    assert cpu.computes_in_bfloat16("on") and not cpu.computes_in_bfloat16("off")


@pytest.mark.parametrize(
    ("choose", "key"),
    [
        (cpu.intersection_kernel, "INTERSECTIONS"),
        (cpu.product_kernel, "PRODUCTS"),
        (cpu.computes_in_bfloat16, "BFLOAT16"),
    ],
)
def test_another_word(choose, key):
    with pytest.raises(ValueError, match=rf"MODEL\.CPU\.{key} is 'fast'; use one of auto, "):
        choose("fast")


@pytest.mark.skipif(not hasattr(cpu.os, "sched_setaffinity"), reason="a system without affinity")
def test_cores_are_those_that_the_process_may_use():
    before = cpu.os.sched_getaffinity(0)
    try:
        cpu.os.sched_setaffinity(0, {min(before)})
        assert cpu.usable_cores() == 1
    finally:
        cpu.os.sched_setaffinity(0, before)
