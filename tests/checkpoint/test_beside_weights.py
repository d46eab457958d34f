"""What is told of a model beside its weights, by files that may say anything."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from solo.checkpoint import SOLOCheckpointer, read_checkpoint
from solo.checkpoint.beside_weights import (
    add_to_checkpoint,
    known_category_ids,
    known_threshold,
)


@pytest.mark.parametrize("threshold", [0, 0.42, 1])
def test_a_threshold(threshold: float) -> None:
    assert known_threshold({"best_f1": {"threshold": threshold}}) == threshold


@pytest.mark.parametrize(
    "best", [None, 0.4, {}, [], *({"threshold": value} for value in ("0.4", True, -1, 2, math.nan))]
)
def test_what_is_no_threshold_is_none(best: object) -> None:
    assert known_threshold({"best_f1": best}) is None and known_threshold({}) is None


def test_ids_of_classes() -> None:
    assert known_category_ids({"category_ids": [3, "x"]}, 2) == (3, "x")
    for content in ({}, {"category_ids": [3]}, {"category_ids": [3, None]}, {"category_ids": "ab"}):
        assert known_category_ids(content, 2) == ()


def test_a_checkpoint_gets_more_and_keeps_the_rest(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    saver = SOLOCheckpointer(model, str(tmp_path), class_names=["a", "b"], category_ids=[7, 9])
    saver.save("model_final", iteration=4)
    path = tmp_path / "model_final.pth"
    add_to_checkpoint(path, best_f1={"threshold": 0.4})
    content = read_checkpoint(path)
    assert content["best_f1"] == {"threshold": 0.4} and content["category_ids"] == [7, 9]
    other = nn.Linear(2, 2)
    loader = SOLOCheckpointer(other, str(tmp_path), class_names=["a", "b"], complete=True)
    assert loader.resume_or_load("", resume=True)["iteration"] == 4
    assert torch.equal(model.weight, other.weight)
