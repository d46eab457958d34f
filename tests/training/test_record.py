"""What a run says of itself at its start and at its end."""

import json
from pathlib import Path
from typing import Any

import pytest

import solo
from solo.checkpoint.run_files import RUN, Conditions, RunStatus, read_run_record
from solo.errors import UserError
from solo.training import record_run
from solo.training.record import told_end
from tests.training.training_toys import CLASSES, toy_config


def write_metrics(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "metrics.json").write_text(
        "".join(f"{json.dumps(line)}\n" for line in lines) + '{"it'
    )


def test_what_a_run_runs_on(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path, MAX_ITER=40)
    record_run(cfg, "toy.yaml")
    cfg.SEED = 8
    record_run(cfg, "toy.yaml", first=20, weights="out/model_0000019.pth")
    first, last = read_run_record(tmp_path).starts
    assert (first.iterations, first.config_file) == (40, "toy.yaml")
    conditions = first.conditions
    assert conditions.versions["solo"] == solo.__version__ and conditions.versions["torch"]
    assert (conditions.device, conditions.precision, conditions.workers) == ("cpu", "float32", 1)
    assert conditions.device_name and conditions.seed == 3
    toys = {"name": "toy_train", "images": None, "classes": len(CLASSES)}
    assert conditions.data == {"train": [toys], "test": []}
    assert last.conditions == Conditions(
        **{
            **vars(conditions),
            "first": 20,
            "weights": "out/model_0000019.pth",
            "seed": 8,
            "changed": "SEED (3 -> 8)",
        }
    )
    assert "SEED: 8" in (tmp_path / "config.yaml").read_text()


def test_the_end_of_a_run(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    cfg.DATASETS.TEST = ("toy_val",)
    with told_end(cfg):
        record_run(cfg, "")
        write_metrics(
            tmp_path,
            {"iteration": 19, "total_loss": 2.0, "segm/AP": 7.0, "targets/positives_level0": 3},
            {"iteration": 29, "total_loss": 1.0, "segm/AP": float("nan"), "segm/APs": 1.0},
            {"iteration": 30, "segm/AP": 5.0, "segm/AP-round": 4.0, "segm/APs": float("nan")},
        )
    outcome = read_run_record(tmp_path).last.outcome
    assert (outcome.status, outcome.reason, outcome.done) == (RunStatus.FINISHED, "", 30)
    assert outcome.metrics == {"segm/AP": 5.0, "segm/APs": None}
    assert outcome.best == {"metric": "segm/AP", "value": 7.0, "iteration": 20}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), RunStatus.INTERRUPTED, ""),
        (SystemExit(130), RunStatus.INTERRUPTED, ""),
        (SystemExit("error: The loss is not finite."), RunStatus.FAILED, "The loss is not finite."),
        (SystemExit(1), RunStatus.FAILED, "A worker ended with exit status 1: log.txt tells why."),
        (UserError("No room."), RunStatus.FAILED, "No room."),
        (RuntimeError("\nTraceback:\n  line\nValueError: x"), RunStatus.FAILED, "ValueError: x"),
    ],
)
def test_an_end_before_time(
    tmp_path: Path, error: BaseException, status: RunStatus, reason: str
) -> None:
    cfg = toy_config(tmp_path)
    with pytest.raises(type(error)), told_end(cfg):
        record_run(cfg, "")
        raise error
    outcome = read_run_record(tmp_path).last.outcome
    assert (outcome.status, outcome.reason, outcome.done) == (status, reason, None)


def test_a_start_that_fails_says_nothing_of_the_run_that_was_there(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    record_run(cfg, "")  # killed
    before = (tmp_path / RUN).read_bytes()
    with pytest.raises(UserError), told_end(cfg):
        raise UserError("This holds a run.")
    assert (tmp_path / RUN).read_bytes() == before
