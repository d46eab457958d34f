"""What run.json says of a run."""

import datetime
import json
import sys

import pytest

from solo.checkpoint.run_files import (
    RUN,
    Conditions,
    Outcome,
    RunStatus,
    end_run_record,
    read_run_record,
    write_run_record,
)
from solo.errors import UserError


def test_the_command_of_a_run_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_net.py", "--config-file", "my configs/a.yaml"])
    before = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=1)
    write_run_record(tmp_path, "my configs/a.yaml", 90)
    record = read_run_record(tmp_path).last
    assert record.config_file == "my configs/a.yaml" and record.iterations == 90
    assert record.command == "train_net.py --config-file 'my configs/a.yaml'"
    started = datetime.datetime.fromisoformat(record.started)
    assert before <= started <= datetime.datetime.now().astimezone()


def test_each_resumption_is_a_start_of_its_own(tmp_path):
    write_run_record(tmp_path, "a.yaml", 90, Conditions(weights="r50.pkl", workers=2))
    assert read_run_record(tmp_path).last.outcome.status == RunStatus.RUNNING
    # Killed meanwhile: nobody wrote its end.
    resumed = Conditions(first=40, weights="model_39.pth", changed="SEED (1 -> 2)", seed=2)
    write_run_record(tmp_path, "a.yaml", 90, resumed)
    best = {"metric": "segm/AP", "value": 3.5, "iteration": 59}
    outcome = Outcome(status=RunStatus.FAILED, reason="No room.", done=71, best=best)
    end_run_record(tmp_path, outcome)
    first, last = read_run_record(tmp_path).starts
    assert first.conditions == Conditions(weights="r50.pkl", workers=2)
    assert first.outcome.status == RunStatus.INTERRUPTED
    assert last.conditions == resumed
    assert last.outcome.ended >= last.started
    assert last.outcome == Outcome(
        status=RunStatus.FAILED, reason="No room.", done=71, best=best, ended=last.outcome.ended
    )
    write_run_record(tmp_path, "b.yaml", 7)  # begun anew
    assert len(read_run_record(tmp_path).starts) == 1


def test_an_end_is_told_once(tmp_path):
    end_run_record(tmp_path, Outcome())
    assert not (tmp_path / RUN).exists()
    write_run_record(tmp_path, "a.yaml", 90)
    for status in (RunStatus.FINISHED, RunStatus.FAILED):
        end_run_record(tmp_path, Outcome(status=status))
    assert read_run_record(tmp_path).last.outcome.status == "finished"


def test_records_of_other_versions(tmp_path):
    assert read_run_record(tmp_path) is None
    old = {"config_file": "a.yaml", "command": "train", "started": "2026-01-01", "iterations": 5}
    (tmp_path / RUN).write_text(json.dumps(old))
    record = read_run_record(tmp_path)
    assert (record.last.command, record.last.conditions, record.last.outcome) == (
        "train",
        None,
        None,
    )
    end_run_record(tmp_path, Outcome(status=RunStatus.FAILED))
    assert json.loads((tmp_path / RUN).read_text()) == old
    write_run_record(tmp_path, "a.yaml", 5, Conditions(first=3))
    newer = json.loads((tmp_path / RUN).read_text())
    assert newer["starts"][0]["command"] == "train"
    newer["starts"][1]["conditions"]["colour"] = "green"
    (tmp_path / RUN).write_text(json.dumps(newer))
    assert read_run_record(tmp_path).last.conditions == Conditions(first=3)


@pytest.mark.parametrize("text", ["{", '{"config_file": "a.yaml"}', "[1]"])
def test_what_training_did_not_write_is_told(tmp_path, text):
    (tmp_path / RUN).write_text(text)
    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        read_run_record(tmp_path)
    # It is no reason not to go on with a run.
    write_run_record(tmp_path, "a.yaml", 90, Conditions(first=3))
    assert len(read_run_record(tmp_path).starts) == 1
