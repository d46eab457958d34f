"""The threshold of an evaluation lies in the checkpoint of the weights that were evaluated."""

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.utils.events import EventStorage

from solo.checkpoint import read_checkpoint
from solo.training.shown_threshold import found_threshold
from tests.training.training_toys import ToyTrainer, toy_config, train


class Judged(ToyTrainer):
    """A trainer whose evaluations find these pairs of AP and threshold."""

    def evaluate(self) -> OrderedDict[str, Any]:
        ap, threshold = next(self.aps)  # type: ignore[misc]
        self._results = OrderedDict(segm={"AP": ap, "F1": 50.0 + ap, "threshold": threshold})
        return self._results


def train_judged(folder: Path, *found: tuple[float, float], patience: int = 0) -> None:
    cfg = toy_config(folder, MAX_ITER=len(found))
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD, cfg.TEST.PATIENCE = ("toy_val",), 1, patience
    trainer = Judged(cfg, aps=found)  # type: ignore[arg-type]
    trainer.resume_or_load()
    trainer.train()


def test_the_best_and_the_last_weights_have_their_own(tmp_path: Path) -> None:
    train_judged(tmp_path, (1.0, 0.1), (3.0, 0.2), (2.0, 0.4))
    best, final = (read_checkpoint(tmp_path / f"model_{name}.pth") for name in ("best", "final"))
    assert best["best_f1"] == {"threshold": 0.2, "F1": 53.0}
    assert final["best_f1"] == {"threshold": 0.4, "F1": 52.0}
    assert "best_f1" not in read_checkpoint(tmp_path / "model_0000001.pth")
    assert not list(tmp_path.glob(".*.partial*"))


@pytest.mark.parametrize(
    ("metric", "augmented"), [("segm/AP", "segm_TTA"), ("a/b/segm/AP", "a/b_TTA/segm")]
)
def test_views_have_a_threshold_of_their_own(metric: str, augmented: str) -> None:
    plain = metric.removesuffix("/AP")
    with EventStorage(7) as storage:
        storage.put_scalars(**{f"{plain}/threshold": 0.4, f"{plain}/F1": 50.0})
        assert found_threshold(storage, metric, 7)["best_f1"]["threshold"] == 0.4
        storage.put_scalars(**{f"{augmented}/threshold": 0.2, f"{augmented}/F1": 60.0})
        assert found_threshold(storage, metric, 7) == {"best_f1": {"threshold": 0.2, "F1": 60.0}}
        # Those weights are not the present ones, whose views were not looked at.
        storage.iter = 9
        storage.put_scalars(**{f"{plain}/threshold": 0.3, f"{plain}/F1": 55.0})
        assert found_threshold(storage, metric, 9) == {"best_f1": {"threshold": 0.3, "F1": 55.0}}


@pytest.mark.parametrize("task", ["segm", "bbox"])
@pytest.mark.parametrize("dataset", ["", "val/"])
def test_it_is_that_of_masks_whatever_chooses_the_best_weights(dataset: str, task: str) -> None:
    with EventStorage(7) as storage:
        storage.put_scalars(**{f"{dataset}{task}/threshold": 0.4, f"{dataset}{task}/F1": 50.0})
        found = found_threshold(storage, f"{dataset}boundary/AP", 7)
        assert found["best_f1"] == {"threshold": 0.4, "F1": 50.0}
        assert not found_threshold(storage, "other/boundary/AP", 7)


def test_after_an_early_end(tmp_path: Path) -> None:
    train_judged(tmp_path, (2.0, 0.1), (1.0, 0.2), (9.0, 0.4), patience=1)
    final = read_checkpoint(tmp_path / "model_final.pth")
    assert final["iteration"] == 1 and final["best_f1"]["threshold"] == 0.2


@pytest.mark.parametrize("last", [math.nan, None])
def test_an_evaluation_that_found_none_leaves_nothing(tmp_path: Path, last: float | None) -> None:
    if last is None:  # there is no evaluation at the end
        train(toy_config(tmp_path))
    else:
        train_judged(tmp_path, (1.0, 0.3), (2.0, last))
    assert "best_f1" not in read_checkpoint(tmp_path / "model_final.pth")


def test_a_run_goes_on_from_it_as_from_any(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    cfg = toy_config(whole, MAX_ITER=4, STEPS=())
    train(cfg)
    train_judged(broken, (1.0, 0.3), (2.0, 0.3))
    assert "best_f1" in read_checkpoint(broken / "model_final.pth")
    train(toy_config(broken, MAX_ITER=4, STEPS=()), resume=True)
    files = [read_checkpoint(folder / "model_final.pth") for folder in (whole, broken)]
    for name, weight in files[0]["model"].items():
        assert torch.equal(weight, files[1]["model"][name]), name
    assert "best_f1" not in files[1]  # it is of other weights
