"""What the page says of a run besides its results."""

import dataclasses
from pathlib import Path

from solo.checkpoint.run_files import Conditions, Outcome, RunRecord, RunStatus, Start
from solo.config import get_cfg
from solo.report.run_facts import run_facts
from solo.report.run_folder import Run

CONDITIONS = Conditions(
    weights="detectron2://R-50.pkl",
    seed=7,
    workers=8,
    precision="float16",
    device_name="A fast one",
    versions={"solo": "1.0", "torch": "2.6"},
    data={"train": [{"name": "cats", "images": 1200, "classes": 3}], "test": []},
)


def facts_of(folder, *starts):
    weights = folder / "model_final.pth"
    weights.touch()
    record = RunRecord(starts) if starts else None
    files = {"folder": folder, "config_file": Path("config.yaml"), "weights": weights}
    return run_facts(Run(**files, cfg=get_cfg(), record=record, metrics={}))


def test_a_run_that_was_resumed(tmp_path):
    killed = Outcome(status=RunStatus.INTERRUPTED)
    begun = Start("configs/cats.yaml", "train", "2026-11-25T10:00:00", 90, CONDITIONS, killed)
    best = {"metric": "segm/AP", "value": 41.26, "iteration": 1999}
    ended = Outcome(
        status=RunStatus.FAILED, reason="No room.", ended="2026-11-26T08:00:00", best=best
    )
    resumed = dataclasses.replace(CONDITIONS, first=40, weights="out/model_0000039.pth")
    facts = facts_of(tmp_path, begun, dataclasses.replace(begun, conditions=resumed, outcome=ended))
    assert facts["Config"] == "cats.yaml" and facts["Started from"] == "R-50.pkl"
    assert facts["State"] == (
        "failed on 2026-11-26: No room.; resumed once; best segm/AP 41.3, iteration 1,999"
    )
    assert facts["Training data"] == "cats, 1,200 images, 3 classes"
    assert facts["Machine"] == "8 x A fast one, float16, seed 7"
    assert facts["Versions"] == "solo 1.0, torch 2.6"


def test_a_run_without_an_end(tmp_path):
    start = Start("a.yaml", "train", "2026-11-25T10:00:00", 90, Conditions(), Outcome())
    facts = facts_of(tmp_path, start)
    assert facts["State"] == "started on 2026-11-25, no end was written"
    assert "Started from" not in facts and "Training data" not in facts


def test_runs_of_older_versions_say_less(tmp_path):
    old = Start("a.yaml", "train", "2026-01-01", 90)
    assert list(facts_of(tmp_path, old)) == ["Config", "Training", "Checkpoint"]
    assert list(facts_of(tmp_path)) == ["Training", "Checkpoint"]
