from functools import partial
from itertools import count

import pytest
import torch

from solo.benchmark.timing import Row, Stopwatch, count_stages, measure, to_row, to_rows
from solo.layers.stages import stage

CPU = torch.device("cpu")


class Clock:
    """It goes on when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds


def work(wait):
    wait(1)
    with stage("outer"):
        wait(2)
        for _ in range(3):
            with stage("inner"):
                wait(4)
        wait(8)
    wait(16)


def test_stages_leave_out_the_stages_inside_them_and_add_up():
    clock = Clock()
    counts = count_stages(partial(work, clock.wait), CPU, clock)
    assert counts == {"the rest": 17, "outer": 10, "inner": 12}
    assert sum(counts.values()) == clock.now - 100
    assert count_stages(lambda: None, CPU, clock) == {"the rest": 0}


def test_stage_that_fails_is_over():
    clock = Clock()
    watch = Stopwatch(CPU, clock)
    with watch.stage("outer"):
        with pytest.raises(KeyError), watch.stage("inner"):
            clock.wait(1)
            raise KeyError
        clock.wait(2)
    assert watch.counts == {"inner": 1, "outer": 2}


def test_runs_that_are_measured():
    calls, numbers = [], count(1)
    rows = measure(
        lambda number: (calls.append(number), work(lambda _: None)),
        device=CPU,
        repeats=3,
        prepare=lambda: next(numbers),
    )
    assert calls == [1, 2, 3, 4, 5, 6]  # two for warming up, one for counting operations
    assert [row.name for row in rows] == ["outer", "inner", "the rest", "all"]
    *stages, whole = rows
    assert whole.peak_mb is None or whole.peak_mb >= 0
    assert all(0 < row.median_ms <= row.p90_ms and row.peak_mb is None for row in stages)


def test_nothing_to_measure_is_refused():
    with pytest.raises(ValueError, match="Cannot measure 0 times"):
        measure(list, device=CPU, repeats=0)


def test_rows_by_hand():
    laps = [{"the rest": 1.0, "a": 2.0}, {"the rest": 3.0, "a": 4.0, "b": 8.0}]
    rows = to_rows(laps, {"a": 3e9}, 5.04)
    assert [(row.name, row.median_ms) for row in rows] == [
        ("a", 3000),
        ("b", 4000),
        ("the rest", 2000),
        ("all", 9000),
    ]
    assert (rows[0].gflops, rows[1].gflops, rows[3].gflops) == (1.0, None, 0.3)
    assert [row.peak_mb for row in rows] == [None, None, None, 5.0]


def test_median_and_percentile():
    assert to_row("x", [0.001, 0.002, 0.011]) == Row("x", 2.0, pytest.approx(9.2))
