"""A training and evaluations of it, from their flags on."""

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from solo.checkpoint.run_files import RUN, RunStatus, read_run_record
from solo.training.start import start
from tests.toys import registered, square, toy_cfg, write_config, write_records


def flags(config_file: Path, *opts: str, **others: Any) -> argparse.Namespace:
    given = {
        "resume": False,
        "overwrite": False,
        "eval_only": False,
        "imports": [],
        "verbose": False,
    }
    processes = {"num_gpus": 1, "num_machines": 1, "machine_rank": 0, "dist_url": "auto"}
    return argparse.Namespace(
        config_file=str(config_file), opts=[*opts], **processes, **{**given, **others}
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def config(tmp_path, monkeypatch):
    # It sets up logging for the whole process.
    monkeypatch.setattr("solo.training.start.setup_run", lambda cfg, args: None)
    with registered(write_records(tmp_path, [[square(4, 4, 20)], [square(9, 9, 30, 1)]])) as name:
        cfg = toy_cfg(name)
        cfg.DATASETS.TEST = (name,)
        cfg.MODEL.WEIGHTS = ""
        cfg.MODEL.DEVICE = "cpu"
        cfg.OUTPUT_DIR = str(tmp_path / "out")
        cfg.SOLVER.MAX_ITER = 2
        cfg.SOLVER.STEPS = ()
        cfg.SOLVER.CHECKPOINT_PERIOD = 1
        yield write_config(cfg, tmp_path)


def test_a_start_is_five_lines(config, tmp_path, capsys):
    start(flags(config))
    told = capsys.readouterr().out
    first = [line.split() for line in told.split("\n\n")[0].splitlines()]
    assert [words[0] for words in first] == ["machine", "precision", "data", "schedule", "output"]
    texts = [" ".join(words[1:]) for words in first]
    assert "CPU" in texts[0] and torch.__version__ in texts[0]
    assert texts[1] == "float32 (SOLVER.AMP.ENABLED False)"
    assert texts[2].startswith("train 2 images, 2 objects, 3 classes (squares")
    assert "; val 2 images (squares" in texts[2]
    assert texts[3].startswith("2 iterations of 2 images = 2 epochs, from random weights, rate ")
    assert texts[3].endswith("evaluation at the end, checkpoint each 1")
    assert texts[4] == f"{tmp_path}/out; its log.txt has all else (-v shows it)"
    start(flags(config, "SOLVER.MAX_ITER", "3", resume=True))
    assert "= 3 epochs, goes on at 2, rate" in capsys.readouterr().out
    start(flags(config, "SOLVER.MAX_ITER", "3", resume=True))
    told = capsys.readouterr().out
    assert "3 iterations of 2 images = 3 epochs: complete, and evaluated once more" in told
    assert "mask, last (3)" in told and "moved" not in told
    start(flags(config, overwrite=True))
    assert (
        f"moved     the run that is there, to {tmp_path}/out/previous\n" in capsys.readouterr().out
    )


def test_an_early_end_is_one_of_the_config_that_was_scaled(config, capsys):
    # For two processes, of which here is one: 4 iterations become 8, evaluated at 2, 4 and 6.
    scaled = ("SOLVER.REFERENCE_WORLD_SIZE", "2", "SOLVER.MAX_ITER", "4", "TEST.EVAL_PERIOD", "1")
    start(flags(config, *scaled, "TEST.PATIENCE", "2", "TEST.MIN_GAIN", "100"))
    assert "Stopped early, in iteration 6 of 8: " in capsys.readouterr().out


def test_an_evaluation_leaves_the_run_as_it_is(config, tmp_path, capsys):
    out = tmp_path / "out"
    start(flags(config))
    record = read_run_record(out).last
    assert (record.outcome.status, record.outcome.done) == (RunStatus.FINISHED, 2)
    assert record.outcome.metrics["segm/AP"] == record.outcome.best["value"] >= 0
    data = record.conditions.data
    assert data["train"] == data["test"] and data["train"][0]["images"] == 2
    before = contents(out)
    assert RUN in before and any(name.startswith("inference/") for name in before)

    weights = ("MODEL.WEIGHTS", str(out / "model_0000000.pth"), "SEED", "7")
    capsys.readouterr()
    start(flags(config, *weights, eval_only=True))
    told = capsys.readouterr().out
    assert "class " in told and f"written: predictions in {out}/eval/inference/squares" in told
    after = contents(out)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"eval"}
    # Where there is no run, as before.
    elsewhere = tmp_path / "elsewhere"
    start(flags(config, *weights, "OUTPUT_DIR", str(elsewhere), eval_only=True))
    assert {name.split("/")[0] for name in contents(elsewhere)} == {"inference"}


def test_a_run_that_goes_on_says_so(config, tmp_path):
    out = tmp_path / "out"
    start(flags(config))
    start(flags(config, "SOLVER.MAX_ITER", "3", resume=True))
    first, last = read_run_record(out).starts
    assert (first.iterations, last.iterations) == (2, 3)
    assert (last.conditions.first, last.outcome.done) == (2, 3)
    assert last.conditions.weights == str(out / "model_final.pth")
    assert last.conditions.changed == "SOLVER.MAX_ITER (2 -> 3)"
    # Complete: nothing is started.
    before = (out / RUN).read_bytes()
    start(flags(config, "SOLVER.MAX_ITER", "3", resume=True))
    assert (out / RUN).read_bytes() == before
