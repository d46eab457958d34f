"""What metrics.json says of evaluations."""

import json
from pathlib import Path

from solo.training.reached import best_of, evaluations

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
    found = evaluations(path, period=20)
    assert found == [(20, {"segm/AP": 30.0}), (40, {"bbox/AP": 2.0}), (50, {"segm/AP": 30.0})]
    assert best_of(found, "segm/AP") == found[0]  # the first of two
    assert best_of(found, "segm/AR") is None


def test_no_file_is_no_evaluation(tmp_path: Path) -> None:
    assert evaluations(tmp_path / "metrics.json", period=1) == []
