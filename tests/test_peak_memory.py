from solo.peak_memory import peak_memory


def test_memory_is_that_of_the_process():
    peak = peak_memory()
    assert peak is not None and 5e7 < peak < 1e12
