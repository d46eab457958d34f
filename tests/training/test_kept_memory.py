"""What a step frees is there for the next one, without the system's help."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from solo.training.kept_memory import keep_freed_memory
{}
def step():
    return [torch.ones(1 << 21) for _ in range(8)]
step(); before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10): step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(line):
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(line)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_pages_of_a_step_are_those_of_the_last_one():
    assert faults("assert keep_freed_memory()") < faults("") / 4


def test_another_library_is_left_alone(monkeypatch):
    from solo.training.kept_memory import keep_freed_memory

    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory()
