from turns import compare, take_turns


def test_turns_alternate():
    calls = []
    seconds = take_turns(lambda: calls.append("a"), lambda: calls.append("b"), repeats=3)
    assert calls == ["a", "b"] * 3
    assert [len(times) for times in seconds] == [3, 3]
    assert all(time > 0 for times in seconds for time in times)


def test_comparison_by_hand():
    row = compare("x", [1.0, 2.0, 4.0], [2.0, 6.0, 4.0], "equal")
    assert (row.ours_ms, row.theirs_ms, row.speedup) == (2000, 4000, 2)
    assert (row.lowest, row.highest, row.note) == (1, 3, "equal")
    assert row.with_memory(None, 5.0) == row
    assert row.with_memory(1.0, 4.0).memory_share == 0.25
