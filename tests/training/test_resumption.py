"""Resumed with another config: what changed is told, holds at once, or is refused in a sentence."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from solo.errors import UserError
from solo.training import record_run
from tests.training.training_toys import ToyModel, ToyTrainer, toy_config, train


@META_ARCH_REGISTRY.register()
class WiderToyModel(ToyModel):
    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        self.stem[0], self.stem[1] = nn.Conv2d(3, 6, 3, padding=1), nn.GroupNorm(2, 6)


@META_ARCH_REGISTRY.register()
class DeeperToyModel(ToyModel):
    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg)
        self.stem.append(nn.Conv2d(4, 4, 1))


def interrupted(folder: Path, **solver: Any) -> None:
    """Leave a run of two iterations of six, with its config."""
    cfg = toy_config(folder, **{"MAX_ITER": 2, "STEPS": (1,), **solver})
    train(cfg)
    record_run(cfg, "")


def rates(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "metrics.json").read_text().splitlines())
    return [line["lr"] for line in lines if "lr" in line]


def test_the_schedule_of_a_changed_config_holds_from_the_next_step_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("solo.training.trainer._LOG_PERIOD", 1)
    changed = {"BASE_LR": 0.01, "MAX_ITER": 8, "STEPS": (5, 7), "WARMUP_ITERS": 4}
    train(toy_config(tmp_path / "reference", **changed))
    interrupted(tmp_path / "run")
    with caplog.at_level(logging.INFO):
        train(toy_config(tmp_path / "run", **changed), resume=True)
    expected = rates(tmp_path / "reference")
    assert len(set(expected)) == 7
    assert rates(tmp_path / "run")[2:] == expected[2:]
    assert f"from iteration 2 to 8, now at rate {expected[2]:g}" in caplog.text
    (told,) = [record for record in caplog.records if record.msg.startswith("Changed since")]
    for change in ("BASE_LR (0.05 -> 0.01)", "MAX_ITER (2 -> 8)", "STEPS ([1] -> [5, 7])"):
        assert f"SOLVER.{change}" in told.getMessage()
    assert "GAMMA" not in told.getMessage()


def test_options_of_the_optimizer_are_those_of_the_config(tmp_path: Path) -> None:
    interrupted(tmp_path)
    changed = {"WEIGHT_DECAY": 0.25, "WEIGHT_DECAY_NORM": 0.125, "MOMENTUM": 0.5}
    trainer = ToyTrainer(toy_config(tmp_path, **changed))
    trainer.resume_or_load(resume=True)
    groups = trainer.optimizer.param_groups
    assert {(group["momentum"], group["weight_decay"]) for group in groups} == {
        (0.5, 0.25),
        (0.5, 0.125),
    }
    assert all("momentum_buffer" in state for state in trainer.optimizer.state.values())


def test_an_unchanged_config_is_nothing_to_tell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted(tmp_path / "run", MAX_ITER=6)
    (tmp_path / "run").rename(tmp_path / "moved")
    train(toy_config(tmp_path / "moved", STEPS=(1,)), resume=True)
    assert "Changed since" not in caplog.text


def test_a_shorter_training_than_what_is_done_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path, MAX_ITER=4)
    with pytest.raises(
        UserError, match=r"model_final\.pth is of iteration 4, beyond SOLVER\.MAX_ITER, which is 3:"
    ):
        train(toy_config(tmp_path, MAX_ITER=3, STEPS=()), resume=True)


@pytest.mark.parametrize("other", ["SGD", "AdamW"])
@pytest.mark.parametrize("config", ["there", "lost"])
def test_another_optimizer_is_refused(tmp_path: Path, other: str, config: str) -> None:
    mine = {"SGD": "AdamW", "AdamW": "SGD"}[other]
    interrupted(tmp_path, OPTIMIZER=mine)
    match = rf"model_final\.pth cannot be continued: SOLVER\.OPTIMIZER was another one than {other}"
    if config == "there":
        match += rf".*SOLVER\.OPTIMIZER \({mine} -> {other}\).*Change back"
    else:
        (tmp_path / "config.yaml").unlink()
    with pytest.raises(UserError, match=match):
        train(toy_config(tmp_path, OPTIMIZER=other), resume=True)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("WiderToyModel", "does not fit the model: .*stem"),
        ("DeeperToyModel", r"lacks 2 tensors of the model \(stem\.3\.weight"),
    ],
)
def test_another_model_is_refused(tmp_path: Path, model: str, reason: str) -> None:
    interrupted(tmp_path)
    cfg = toy_config(tmp_path)
    cfg.MODEL.META_ARCHITECTURE = model
    match = rf"{reason}.*MODEL\.META_ARCHITECTURE \(ToyModel -> {model}\)"
    with pytest.raises(UserError, match=match) as caught:
        train(cfg, resume=True)
    assert "fine-tune" not in str(caught.value)
