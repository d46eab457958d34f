"""What metrics.json says of evaluations."""

import json
from pathlib import Path

from solo.reached import Reached, best_of, evaluations, metric_of

LINES = [
    {
        "iteration": 19,
        "total_loss": 2.0,
        "segm/AP": 30.0,
        "segm/AP-cat": 1.0,
        "targets/unassigned": 0,
    },
    {"iteration": 39, "segm/AP": float("nan"), "bbox/AP": 2.0},
    {"iteration": 47, "total_loss": 1.0},
    {"iteration": 50, "segm/AP": 30.0},
]


def test_evaluations_have_the_steps_that_were_taken(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text("\n".join([*map(json.dumps, LINES), '{"iteration": 5']))
    found = evaluations(path)
    assert found == [(20, {"segm/AP": 30.0}), (40, {"bbox/AP": 2.0}), (50, {"segm/AP": 30.0})]
    assert best_of(found, "segm/AP") == found[0]  # the first of two
    assert best_of(found, "segm/AR") is None


def test_a_run_that_ended_and_goes_on_with_another_period(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    lines = [
        {"iteration": 9, "total_loss": 1.0, "segm/AP": 9.0},
        {"iteration": 19, "total_loss": 1.0},
        {"iteration": 20, "segm/AP": 1.0},  # the end, before it was resumed
        {"iteration": 26, "segm/AP": 2.0},  # in between two lines of the log
        {"iteration": 39, "total_loss": 1.0},
        {"iteration": 40, "segm/AP": 3.0},
    ]
    path.write_text("\n".join(["null", *map(json.dumps, lines)]))
    assert [item.iteration for item in evaluations(path)] == [10, 20, 27, 40]


def test_no_file_is_no_evaluation(tmp_path: Path) -> None:
    assert evaluations(tmp_path / "metrics.json") == []


def test_the_metric_that_chooses_is_one_that_was_measured() -> None:
    def measured(*names: str) -> list[Reached]:
        return [Reached(1, dict.fromkeys(names, 1.0))]

    every = measured("segm/AP", "bbox/AP", "boundary/AP")
    assert metric_of(every, ["val"]) == metric_of([], ["val"]) == "segm/AP"
    assert metric_of(measured("bbox/AP"), ["val"]) == "bbox/AP"
    for chosen in ("boundary/AP", "bbox/AP"):
        assert metric_of(every, ["val"], chosen) == metric_of([], ["val"], chosen) == chosen
    # Of an older evaluation, or data without masks.
    assert metric_of(measured("segm/AP"), ["val"], "boundary/AP") == "segm/AP"
    assert metric_of(measured("bbox/AP"), ["val"], "boundary/AP") == "bbox/AP"
    several = measured("a/segm/AP", "a/boundary/AP")
    assert metric_of(several, ["a", "b"], "boundary/AP") == "a/boundary/AP"
