"""An early end: when it comes, what it leaves, and that an interruption changes nothing of it."""

import json
import logging
import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.utils import comm

from solo.checkpoint import read_checkpoint
from solo.config.validity import check_solver
from solo.training import Trainer, launch
from solo.training.last_words import tell_end
from tests.toys import registered, square, toy_cfg, write_records
from tests.training.training_toys import ToyTrainer, toy_config, train


def patient_config(
    folder: Path, patience: int = 2, min_gain: float = 0.0, period: int = 1
) -> CfgNode:
    cfg = toy_config(folder, MAX_ITER=9, STEPS=())
    cfg.DATASETS.TEST = ("toy_val",)
    cfg.TEST.PATIENCE, cfg.TEST.MIN_GAIN, cfg.TEST.EVAL_PERIOD = patience, min_gain, period
    return cfg


@pytest.mark.parametrize(
    ("options", "aps", "end"),
    [
        ({}, (1, 2, 3, 2, 3, 9), 5),  # as good is no gain
        ({"patience": 3}, (1, 2, 3, 2, 3, 3, 9), 6),
        ({"min_gain": 1.0}, (1, 1.5, 2, 9), 3),
        ({"min_gain": 1.0}, (1, 1.5, 2.5, 3, 3.5, 9), 5),  # two small steps are one large one
        ({"period": 2}, (1, 1, 1, 9), 6),
        ({}, (1, 2, 3, 4, 5, 6, 7, 8, 9), 9),
        ({}, (math.nan, math.nan, 9), 2),
        ({"patience": 0}, (1, *[0] * 8), 9),
    ],
)
def test_where_training_ends(
    tmp_path: Path, options: dict[str, Any], aps: tuple[float, ...], end: int
) -> None:
    trainer = train(patient_config(tmp_path, **options), aps=aps)
    assert trainer.iter == end
    final = read_checkpoint(tmp_path / "model_final.pth")
    assert final["trainer"]["iteration"] == end - 1
    assert torch.equal(final["model"]["mask.weight"], trainer.module.mask.weight)
    assert (tmp_path / "last_checkpoint").read_text() == "model_final.pth"


def test_an_early_end_is_told_and_leaves_what_any_end_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        trainer = train(patient_config(tmp_path), aps=(1.0, 2.5, 2.0, 2.0, 9.0))
    told = (
        "Stopped early, after iteration 3: segm/AP has not risen by more than 0 in 2 evaluations "
        "(TEST.PATIENCE). The last gain was to 2.5000, after iteration 1; the best weights are in "
        f"{tmp_path}/model_best.pth."
    )
    assert told in caplog.text
    # Each is evaluated once, also the last.
    assert trainer.evaluated_at == [0, 1, 2, 3]
    assert trainer._results == {"segm": {"AP": 2.0}}
    assert read_checkpoint(tmp_path / "model_best.pth")["best"]["value"] == 2.5
    assert (tmp_path / "curves.png").is_file()
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    assert lines[-1]["iteration"] == 3 and "total_loss" in lines[-1]


class ByBoundary(ToyTrainer):
    def evaluate(self) -> OrderedDict[str, Any]:
        ap = super().evaluate()["segm"]["AP"]
        self._results = OrderedDict(segm={"AP": 10 - ap}, boundary={"AP": ap})
        return self._results


def test_boundaries_may_choose(tmp_path: Path) -> None:
    cfg = patient_config(tmp_path)
    cfg.TEST.BOUNDARY_AP, cfg.TEST.BEST_METRIC = True, "boundary/AP"
    trainer = ByBoundary(cfg, aps=(1.0, 2.5, 2.0, 2.0, 9.0))
    trainer.resume_or_load()
    trainer.train()
    assert trainer.iter == 4
    best = read_checkpoint(tmp_path / "model_best.pth")["best"]
    assert best == {"metric": "boundary/AP", "value": 2.5, "iteration": 1}
    lines = [json.loads(line) for line in (tmp_path / "metrics.json").read_text().splitlines()]
    assert [line["boundary/AP"] for line in lines if "boundary/AP" in line] == [1.0, 2.5, 2.0, 2.0]


def test_a_training_writes_down_its_boundaries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with registered(write_records(tmp_path, [[square(4, 4, 30)], [square(8, 8, 30)]])) as name:
        cfg = toy_cfg(name)
        cfg.DATASETS.TEST, cfg.OUTPUT_DIR, cfg.SOLVER.MAX_ITER = (name,), str(tmp_path), 1
        cfg.TEST.BOUNDARY_AP, cfg.TEST.BEST_METRIC = True, "boundary/AP"
        cfg.MODEL.SOLO.TEST.SCORE_THRESH, cfg.SOLVER.EMA.ENABLED = 0.0, True
        trainer = Trainer(cfg)
        trainer.resume_or_load()
        results = trainer.train()
        tell_end(cfg, results, done=1, seconds=1.0)
    last = json.loads((tmp_path / "metrics.json").read_text().splitlines()[-1])
    assert last["boundary/AP"] == results["boundary"]["AP"] and "boundary/AP-red" in last
    assert read_checkpoint(tmp_path / "model_best.pth")["best"]["metric"] == "boundary/AP"
    assert "boundary, best and last (1)" in capsys.readouterr().out


def test_other_views_are_looked_at_in_the_end(tmp_path: Path) -> None:
    cfg = patient_config(tmp_path)
    cfg.TEST.AUG.ENABLED = True
    assert train(cfg, aps=(1.0, 1.0, 1.0, 1.0)).evaluated_at == [0, 1, 2, 3]


# With checkpoints after iterations 1, 3, 5 and 7, killed during the step after the evaluation:
@pytest.mark.parametrize(
    ("aps", "min_gain", "killed", "start", "end"),
    [
        ((1, 3, 2, 2, 9), 0.0, 2, 2, 4),  # the gain was found after the checkpoint
        ((3, 2, 2, 9), 0.0, 2, 2, 3),  # and so was the lack of one
        ((1, 1.5, 1.8, 9), 1.0, 2, 2, 3),  # model_best.pth is of no gain
        ((1, 2, 3, 2, 2, 9), 0.0, 3, 2, 5),  # what is trained again is evaluated again
    ],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    tmp_path: Path,
    aps: tuple[float, ...],
    min_gain: float,
    killed: int,
    start: int,
    end: int,
) -> None:
    runs = [patient_config(tmp_path / name, min_gain=min_gain) for name in ("whole", "broken")]
    assert train(runs[0], aps=aps).iter == end
    trainer = ToyTrainer(runs[1], aps=aps)
    trainer.resume_or_load()
    build = trainer.build_train_loader

    def build_broken(start_iteration: int) -> Any:
        for position, batch in enumerate(build(start_iteration), start_iteration):
            if position == killed:
                raise KeyboardInterrupt
            yield batch

    trainer.build_train_loader = build_broken
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    resumed = train(runs[1], aps=aps[start:], resume=True)
    assert (resumed.start_iter, resumed.iter) == (start, end)
    files = [read_checkpoint(tmp_path / name / "model_final.pth") for name in ("whole", "broken")]
    assert files[0]["trainer"]["hooks"]["EarlyStop"] == files[1]["trainer"]["hooks"]["EarlyStop"]
    for key, value in files[0]["model"].items():
        assert torch.equal(value, files[1]["model"][key]), key


def test_a_run_that_had_stopped_goes_on_with_more_patience_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(patient_config(tmp_path), aps=(1.0, 1.0, 1.0))
    before = (tmp_path / "model_final.pth").stat().st_mtime_ns
    stays = train(patient_config(tmp_path), aps=(1.0,), resume=True)
    assert stays.evaluated_at == [2]
    assert "This run was stopped early, in iteration 3 of 9, after 2 evaluations" in caplog.text
    assert (tmp_path / "model_final.pth").stat().st_mtime_ns == before
    train(patient_config(tmp_path, patience=1), aps=(1.0,), resume=True)
    assert (tmp_path / "model_final.pth").stat().st_mtime_ns == before

    goes_on = train(patient_config(tmp_path, patience=3), aps=(1.0, 9.0), resume=True)
    assert (goes_on.start_iter, goes_on.iter) == (3, 4)
    to_the_end = train(patient_config(tmp_path, patience=0), aps=(0.0,) * 5, resume=True)
    assert (to_the_end.start_iter, to_the_end.iter) == (4, 9)


class FirstHasResults(ToyTrainer):
    def evaluate(self) -> OrderedDict[str, Any]:
        return super().evaluate() if comm.is_main_process() else OrderedDict()


def stop_as_worker(output_dir: str) -> None:
    trainer = FirstHasResults(patient_config(Path(output_dir)), aps=(1.0, 2.0, 2.0, 1.0))
    trainer.resume_or_load()
    trainer.train()
    Path(output_dir, f"{comm.get_rank()}.txt").write_text(str(trainer.iter))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_workers_stop_together(tmp_path: Path, free_url: str) -> None:
    launch(stop_as_worker, (str(tmp_path),), num_gpus=2, dist_url=free_url)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == ["4", "4"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": -1}, "TEST.PATIENCE is -1"),
        ({"min_gain": -0.5}, "MIN_GAIN -0.5"),
        (
            {"period": 0},
            "nothing is evaluated before the end: set DATASETS.TEST and TEST.EVAL_PERIOD",
        ),
    ],
)
def test_a_patience_that_makes_no_sense_is_named(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    cfg = patient_config(tmp_path, **options)
    with pytest.raises(ValueError, match=message):
        check_solver(cfg)
    cfg.TEST.PATIENCE, cfg.TEST.MIN_GAIN = 0, 0.0
    check_solver(cfg)
