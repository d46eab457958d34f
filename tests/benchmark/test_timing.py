import time
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from solo.benchmark.timing import Row, Stopwatch, measure, to_row

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Rule:
    def outer(self):
        time.sleep(0.002)
        return self.inner() + 1

    def inner(self):
        time.sleep(0.004)
        return 1

    def __call__(self):
        return self.outer()


def test_stages_leave_out_the_stages_inside_them():
    rule, watch = Rule(), Stopwatch(CPU)
    with watch.watching({"outer": [(rule, "outer")], "inner": [(rule, "inner")]}):
        start = time.perf_counter()
        assert rule() == 2
        passed = time.perf_counter() - start
    seconds = watch.lap()
    assert seconds["inner"] >= 0.004 and seconds["outer"] >= 0.002
    assert sum(seconds.values()) <= passed
    assert watch.lap() == {}


def test_functions_are_what_they_were_afterwards():
    rule, module, space = Rule(), nn.Identity(), SimpleNamespace(work=len)
    stages = {"a": [(rule, "outer"), (Rule, "__call__"), (module, "forward"), (space, "work")]}
    watch, call = Stopwatch(CPU), Rule.__call__
    with pytest.raises(KeyError), watch.watching(stages):
        assert rule() == 2 and module(3) == 3 and space.work("ab") == 2
        assert Rule.__call__ is not call
        raise KeyError
    assert vars(rule) == {} and Rule.__call__ is call and space.work is len
    assert "forward" not in vars(module)
    assert set(watch.lap()) == {"a"}


def test_name_that_is_not_there_is_said():
    with (
        pytest.raises(ValueError, match=r"the stage 'masks' is the time of Rule\.gone"),
        Stopwatch(CPU).watching({"work": [(Rule(), "outer")], "masks": [(Rule(), "gone")]}),
    ):
        pass


def test_coming_of_items_is_a_stage():
    watch = Stopwatch(CPU)
    slow = (time.sleep(0.002) or number for number in range(1, 4))
    assert list(watch.each(slow, "load")) == [1, 2, 3]
    assert watch.lap()["load"] >= 0.006


def test_rows_of_what_is_measured():
    rule, calls, given = Rule(), [], []

    def work(argument):
        calls.append(argument)
        return rule()

    rows = measure(
        work,
        stages={"outer": [(rule, "outer")], "inner": [(rule, "inner")]},
        device=CPU,
        repeats=3,
        prepare=lambda: given.append(0) or len(given),
    )
    assert calls == [1, 2, 3, 4, 5, 6]  # two for warming up, one for counting operations
    assert [row.name for row in rows] == ["outer", "inner", "the rest", "all"]
    *stages, whole = rows
    assert whole.peak_mb is None or whole.peak_mb >= 0
    assert all(0 <= row.median_ms <= row.p90_ms and row.peak_mb is None for row in stages)
    assert whole.median_ms >= 6
    with pytest.raises(ValueError, match="Cannot measure 0 times"):
        measure(rule, stages={}, device=CPU, repeats=0)


def test_median_and_percentile():
    assert to_row("x", [0.001, 0.002, 0.011]) == Row("x", 2.0, pytest.approx(9.2))
