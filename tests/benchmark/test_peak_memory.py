import numpy as np
import pytest
import torch

from solo.benchmark.memory import peak_memory, reset_peak


@pytest.mark.skipif(not reset_peak(), reason="the system does not tell")
def test_peak_is_what_the_function_needs():
    kept = []

    def work():
        kept.append(np.ones(20_000_000, dtype=np.uint8))
        np.ones(40_000_000, dtype=np.uint8)

    cpu = torch.device("cpu")
    assert peak_memory(work, cpu) == pytest.approx(60, abs=3)
    # What is there before does not count, what was given back counts again.
    assert peak_memory(work, cpu) == pytest.approx(60, abs=3)
    assert peak_memory(lambda: None, cpu) < 3
