"""The average of the weights: its numbers, where it is used, and that training never notices it."""

import logging
import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.checkpoint import SOLOCheckpointer, read_checkpoint
from solo.config.validity import check_solver
from solo.training import launch
from solo.training.ema import WeightAverage
from tests.training.training_toys import ToyModel, ToyTrainer, toy_config, train


def averaged_config(folder: Path, decay: float = 0.9, **solver: Any) -> CfgNode:
    cfg = toy_config(folder, **solver)
    cfg.SOLVER.EMA.ENABLED, cfg.SOLVER.EMA.DECAY = True, decay
    cfg.MODEL.DROPOUT = 0.5
    return cfg


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


class WatchedTrainer(ToyTrainer):
    """Notes the weights after each step, and those that are evaluated."""

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg, aps=tuple(range(1, 9)))
        self.trained: list[Tensor] = []
        self.evaluated: list[Tensor] = []

    def run_step(self) -> None:
        if not self.trained:
            self.trained.append(self.module.mask.weight.detach().clone())
        super().run_step()
        self.trained.append(self.module.mask.weight.detach().clone())

    def evaluate(self) -> OrderedDict[str, Any]:
        self.evaluated.append(self.module.mask.weight.detach().clone())
        return super().evaluate()


def test_what_is_evaluated_is_the_average_of_the_weights(tmp_path: Path) -> None:
    cfg = averaged_config(tmp_path, decay=0.3)
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("toy_val",), 1
    trainer = WatchedTrainer(cfg)
    trainer.resume_or_load()
    trainer.train()
    average = trainer.trained[0].double()
    for step, weight in enumerate(trainer.trained[1:]):
        decay = min(0.3, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight.double()
        torch.testing.assert_close(trainer.evaluated[step].double(), average, atol=1e-7, rtol=0)
        assert not torch.equal(trainer.evaluated[step], weight)
    # The last is the best of these, and the end: all files have what was evaluated.
    for name in ("model_best", "model_final", "model_0000005"):
        saved = read_checkpoint(tmp_path / f"{name}.pth")["model"]["mask.weight"]
        assert torch.equal(saved, trainer.evaluated[-1])


def test_training_does_not_notice_the_average(tmp_path: Path) -> None:
    plain = train(toy_config(tmp_path / "plain"))
    cfg = averaged_config(tmp_path / "averaged")
    cfg.MODEL.DROPOUT = 0.0
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("toy_val",), 2
    averaged = train(cfg, aps=(1.0, 2.0, 3.0))
    assert_equal(averaged.module.state_dict(), plain.module.state_dict())
    state = read_checkpoint(tmp_path / "averaged/model_final.pth")
    assert_equal(state["trainer"]["hooks"]["WeightAverage"]["weights"], plain.module.state_dict())
    plain_state = read_checkpoint(tmp_path / "plain/model_final.pth")
    assert "WeightAverage" not in plain_state["trainer"]["hooks"]


def test_a_resumed_run_ends_with_the_average_of_an_uninterrupted_one(tmp_path: Path) -> None:
    # With a rate that does not depend on the end.
    schedule = {"STEPS": (), "WARMUP_ITERS": 0}
    whole = train(averaged_config(tmp_path / "whole", **schedule))
    train(averaged_config(tmp_path / "broken", MAX_ITER=4, **schedule))
    resumed = train(averaged_config(tmp_path / "broken", **schedule), resume=True)
    assert resumed.start_iter == 4
    files = [read_checkpoint(tmp_path / name / "model_final.pth") for name in ("whole", "broken")]
    assert_equal(files[0]["model"], files[1]["model"])
    assert_equal(resumed.module.state_dict(), whole.module.state_dict())
    steps = [file["trainer"]["hooks"]["WeightAverage"]["steps"] for file in files]
    assert steps == [6, 6]


def test_the_average_may_be_turned_on_and_off_at_a_resumption(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = {"STEPS": (), "WARMUP_ITERS": 0}
    whole = train(averaged_config(tmp_path / "whole", **schedule))
    cfg = averaged_config(tmp_path / "off", MAX_ITER=4, **schedule)
    train(cfg)
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.EMA.ENABLED = 6, False
    with caplog.at_level(logging.WARNING):
        off = train(cfg, resume=True)
    assert_equal(off.module.state_dict(), whole.module.state_dict())
    assert "ignored" not in caplog.text
    saved = read_checkpoint(tmp_path / "off/model_final.pth")
    assert_equal(saved["model"], whole.module.state_dict())
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.EMA.ENABLED = 7, True
    on = train(cfg, resume=True)
    assert_equal(
        read_checkpoint(tmp_path / "off/model_final.pth")["trainer"]["hooks"]["WeightAverage"][
            "weights"
        ],
        on.module.state_dict(),
    )


def test_a_complete_run_is_evaluated_with_its_average(tmp_path: Path) -> None:
    cfg = averaged_config(tmp_path)
    cfg.DATASETS.TEST = ("toy_val",)
    train(cfg, aps=(1.0,))
    again = WatchedTrainer(cfg)
    again.resume_or_load(resume=True)
    again.train()
    saved = read_checkpoint(tmp_path / "model_final.pth")["model"]["mask.weight"]
    assert torch.equal(again.evaluated[0], saved)
    assert not torch.equal(again.module.mask.weight, saved)


def test_weights_of_an_averaged_run_are_loaded_as_any_others(tmp_path: Path) -> None:
    train(averaged_config(tmp_path))
    path = str(tmp_path / "model_final.pth")
    model = ToyModel(toy_config(tmp_path))
    SOLOCheckpointer(model, complete=True).load(path)
    assert_equal(dict(model.state_dict()), read_checkpoint(path)["model"])


def test_a_weight_that_is_not_finite_is_not_saved_under_the_average(tmp_path: Path) -> None:
    trainer = ToyTrainer(averaged_config(tmp_path))
    trainer.resume_or_load()
    trainer.module.mask.weight.register_hook(
        lambda gradient: gradient * (math.inf if trainer.iter == 3 else 1)
    )
    with pytest.raises(FloatingPointError, match=r"model_0000003\.pth is not saved: mask\.weight"):
        trainer.train()


def test_what_is_no_float_stays_the_models_own(tmp_path: Path) -> None:
    norm = torch.nn.BatchNorm2d(2)
    average = WeightAverage(norm, averaged_config(tmp_path, decay=0.0).SOLVER.EMA)
    average.before_train()
    norm(torch.randn(3, 2, 4, 4))
    expected = norm.running_mean.clone()
    average.after_step()
    with average.applied(), average.applied():  # also inside itself
        assert norm.num_batches_tracked == 1
        assert torch.equal(norm.running_mean, expected)
    assert (
        norm.running_mean.data_ptr() != average.state_dict()["weights"]["running_mean"].data_ptr()
    )


def test_a_model_that_an_evaluation_moved_away_and_back_is_averaged_on(tmp_path: Path) -> None:
    """As after a GPU had too little memory: parameters stay the same objects, buffers do not."""
    model = torch.nn.BatchNorm1d(2)
    average = WeightAverage(model, averaged_config(tmp_path).SOLVER.EMA)
    average.before_train()
    model.running_mean.fill_(8.0)
    with average.applied():
        assert model.running_mean.tolist() == [0.0, 0.0]
        model.to(torch.float64)
        model.to(torch.float32)
    assert model.running_mean.tolist() == [8.0, 8.0]
    average.after_step()
    with average.applied():
        assert model.running_mean.min() > 0


def average_as_worker(cfg: CfgNode) -> None:
    torch.manual_seed(torch.distributed.get_rank())
    norm = torch.nn.BatchNorm2d(2)
    average = WeightAverage(norm, cfg.SOLVER.EMA)
    average.before_train()
    norm(torch.randn(3, 2, 4, 4))
    average.after_step()
    average.share()
    torch.save(average.state_dict(), Path(cfg.OUTPUT_DIR, f"{torch.distributed.get_rank()}.pth"))


@pytest.mark.slow
def test_workers_have_the_same_average(tmp_path: Path, free_url: str) -> None:
    launch(average_as_worker, (averaged_config(tmp_path),), num_gpus=2, dist_url=free_url)
    states = [torch.load(tmp_path / f"{rank}.pth")["weights"] for rank in range(2)]
    assert_equal(*states)
    assert states[0]["running_mean"].abs().sum() > 0


@pytest.mark.parametrize("decay", [-0.1, 1.0, math.nan])
def test_a_decay_that_is_none_is_named(tmp_path: Path, decay: float) -> None:
    with pytest.raises(ValueError, match=f"SOLVER.EMA.DECAY is {decay}"):
        check_solver(averaged_config(tmp_path, decay=decay))
