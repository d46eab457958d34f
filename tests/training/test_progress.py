"""The line of a training, by a training of toys whose plain lines are not waited for."""

import sys
from pathlib import Path

import pytest

from solo import terminal
from solo.terminal import LiveLine
from solo.training.progress import Progress
from tests.training.training_toys import ToyTrainer, toy_config


@pytest.fixture
def told(monkeypatch, capsys):
    for name in ("_FIRST", "_EVERY", "_SHARE"):
        monkeypatch.setattr(terminal, name, 0.0)
    return lambda: capsys.readouterr().err.splitlines()


def train(tmp_path: Path, aps=(), *, resume: bool = False, **solver) -> None:
    cfg = toy_config(tmp_path, **solver)
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("toy_val",) * bool(aps), 3
    trainer = ToyTrainer(cfg, aps=aps)
    with LiveLine() as line:
        trainer.register_hooks([Progress(cfg, line)])
        trainer.resume_or_load(resume=resume)
        trainer.train()


def test_losses_data_memory_and_time(tmp_path, told):
    train(tmp_path)
    first, *steps = told()
    assert first == "0/6  the first images ..."
    assert [text.split()[0] for text in steps] == [f"{done}/6" for done in range(1, 7)]
    for text in steps:
        assert " AP " not in text and " GB  ETA " in text
    for text in steps[:1]:  # medians of several do not add up
        total, category, mask = (
            float(text.split(name)[1].split()[0].strip(",)"))
            for name in ("loss", "(category", "mask")
        )
        assert total == pytest.approx(category + mask, abs=0.02)
    assert "data " in steps[-1] and steps[-1].endswith("ETA 0 s")


def test_ap_so_far_also_of_a_run_that_goes_on(tmp_path, told):
    train(tmp_path, (20.0, 10.0), MAX_ITER=6)
    lines = told()
    assert ["AP 20.0" in text for text in lines] == [False] * 3 + [True] * 4
    train(tmp_path, (15.0, 30.0), MAX_ITER=12, resume=True)
    first, *lines = told()
    assert first.startswith("6/12")
    assert "AP 10.0 (best 20.0)" in lines[0]
    assert all("AP 15.0 (best 20.0)" in text for text in lines[2:])


def test_the_time_left_has_the_evaluations_to_come(tmp_path, monkeypatch):
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("solo.training.progress.perf_counter", lambda: next(clock))
    cfg = toy_config(tmp_path, MAX_ITER=12)
    cfg.DATASETS.TEST, cfg.TEST.EVAL_PERIOD = ("toy_val",), 5
    left = {}

    class Remembering(Progress):
        def after_step(self):
            if self.trainer.iter in (4, 9):
                next(clock), next(clock)  # an evaluation takes 20 s
            super().after_step()
            left[self.trainer.iter + 1] = self.seconds_left()

    trainer = ToyTrainer(cfg, aps=(1.0, 2.0, 3.0))
    with LiveLine(shown=False) as line:
        trainer.register_hooks([Remembering(cfg, line)])
        trainer.resume_or_load()
        trainer.train()
    # Of 10 s a step; the evaluations after 10 steps and at the end are known to take 20 s after the first.
    assert left == {n: (12 - n) * 10 + 20 * (n >= 5) * ((n < 10) + 1) for n in range(1, 13)}


def test_it_fits_the_terminal(tmp_path, told, monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 50)
    train(tmp_path, (20.0, 10.0))
    texts = told()[1:]
    assert all("(" not in text and len(text) <= 50 for text in texts)
    # The time left is the last that goes.
    monkeypatch.setattr(sys, "maxsize", 35)
    train(tmp_path, (20.0, 10.0))
    texts = told()[1:]
    assert all(" ETA " in text and len(text) <= 35 for text in texts)
    monkeypatch.setattr(sys, "maxsize", 75)
    train(tmp_path, (20.0, 10.0))
    assert "(cat " in told()[-1]
