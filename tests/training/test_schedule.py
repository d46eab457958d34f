"""Epochs become iterations: from the images that training uses, and once for all."""

import argparse
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from detectron2.config import CfgNode

from solo.data.training_records import training_records
from solo.errors import UserError
from solo.training import record_run, training_config
from solo.training.resumption import describe_changes
from solo.training.schedule import log_schedule, resolve_schedule
from solo.training.solver import build_scheduler
from tests.toys import registered, square, toy_cfg, write_records

# Ten images to learn from, and two that show nothing, which training leaves out.
IMAGES = [[square(4, 4, 30)]] * 10 + [[]] * 2


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registered(write_records(tmp_path_factory.mktemp("images"), IMAGES)) as name:
        yield name


def resolved(dataset: str, epochs: float, **solver: Any) -> CfgNode:
    cfg = toy_cfg(dataset)
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.STEPS, cfg.SOLVER.IMS_PER_BATCH = 90000, (67500, 82500), 4
    cfg.SOLVER.EPOCHS = epochs
    for key, value in solver.items():
        cfg.SOLVER[key] = value
    resolve_schedule(cfg)
    return cfg


def test_iterations_and_all_that_depends_on_them(dataset: str) -> None:
    cfg = toy_cfg(dataset)
    cfg.SOLVER.EPOCHS, cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.WARMUP_ITERS = 48.0, 4, 500
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.STEPS, cfg.INPUT.MULTI_IMAGE_OFF_ITERS = 900, (675, 825), 90
    cfg.freeze()
    resolve_schedule(cfg)
    assert cfg.is_frozen()
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.STEPS) == (120, (90, 110))
    assert (cfg.SOLVER.WARMUP_ITERS, cfg.INPUT.MULTI_IMAGE_OFF_ITERS) == (12, 12)
    assert (cfg.TEST.EVAL_PERIOD, cfg.SOLVER.CHECKPOINT_PERIOD) == (12, 12)
    again = cfg.clone()
    resolve_schedule(again)
    assert again == cfg


@pytest.mark.parametrize(
    ("epochs", "batch", "iterations"),
    [(1, 4, 3), (2, 4, 5), (0.7, 1, 7), (0.01, 16, 1), (30, 16, 19)],
)
def test_a_part_of_an_iteration_is_one(
    dataset: str, epochs: float, batch: int, iterations: int
) -> None:
    assert iterations == resolved(dataset, float(epochs), IMS_PER_BATCH=batch).SOLVER.MAX_ITER


@pytest.mark.parametrize(("every", "evaluation", "checkpoint"), [(1.0, 10, 100), (20.0, 200, 200)])
def test_an_evaluation_each_so_many_epochs_and_about_ten_checkpoints(
    dataset: str, every: float, evaluation: int, checkpoint: int
) -> None:
    cfg = toy_cfg(dataset)
    cfg.SOLVER.EPOCHS, cfg.TEST.EVAL_EPOCHS, cfg.SOLVER.IMS_PER_BATCH = 100.0, every, 1
    resolve_schedule(cfg)
    assert (evaluation, checkpoint) == (cfg.TEST.EVAL_PERIOD, cfg.SOLVER.CHECKPOINT_PERIOD)


@pytest.mark.parametrize("epochs", [0.1, 0.5, 1.0, 2.0, 40.0])
def test_the_scheduler_takes_whatever_comes_of_it(dataset: str, epochs: float) -> None:
    cfg = resolved(dataset, epochs)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=cfg.SOLVER.BASE_LR)
    scheduler = build_scheduler(cfg, optimizer)
    rates = []
    for _ in range(cfg.SOLVER.MAX_ITER):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert max(rates) <= cfg.SOLVER.BASE_LR * (1 + 1e-6)
    if epochs == 40:  # the warm-up is over early, and both steps are taken
        assert rates[12] == pytest.approx(cfg.SOLVER.BASE_LR)
        assert rates[-1] == pytest.approx(cfg.SOLVER.BASE_LR / 100)


def test_repeated_images_count_as_often_as_they_come(dataset: str) -> None:
    cfg = toy_cfg(dataset)
    cfg.DATALOADER.SAMPLER_TRAIN, cfg.DATALOADER.REPEAT_THRESHOLD = (
        "RepeatFactorTrainingSampler",
        4.0,
    )
    cfg.SOLVER.EPOCHS, cfg.SOLVER.IMS_PER_BATCH = 1.0, 1
    resolve_schedule(cfg)
    assert cfg.SOLVER.MAX_ITER == 20  # sqrt(4 / 1) times each


def test_what_was_given_in_vain_is_told(
    tmp_path: Path, dataset: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["SOLVER.EPOCHS", "4", "SOLVER.IMS_PER_BATCH", "2"]
    training_config(flags(tmp_path, dataset, *options, eval_only=False))
    assert "not used" not in caplog.text
    options += ["SOLVER.MAX_ITER", "50", "TEST.EVAL_PERIOD", "7", "SOLVER.CHECKPOINT_PERIOD", "2"]
    training_config(flags(tmp_path, dataset, *options, eval_only=False))
    assert (
        "not used: SOLVER.MAX_ITER 50 (it is 20), TEST.EVAL_PERIOD 7 (it is 2). TEST."
        in caplog.text
    )

    caplog.clear()
    cfg = toy_cfg(dataset)
    cfg.SOLVER.EPOCHS, cfg.SOLVER.MAX_ITER, cfg.TEST.EVAL_PERIOD = 4.0, 50, 11
    resolve_schedule(cfg)
    assert "SOLVER.MAX_ITER" not in caplog.text and "TEST.EVAL_PERIOD 11" in caplog.text


def test_no_epochs_change_and_ask_nothing() -> None:
    cfg = toy_cfg("not registered")
    before = cfg.clone()
    resolve_schedule(cfg)
    assert cfg == before


@pytest.mark.parametrize("key", ["SOLVER.EPOCHS", "TEST.EVAL_EPOCHS"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_number_that_is_no_length_is_named(dataset: str, key: str, value: float) -> None:
    cfg = toy_cfg(dataset)
    cfg.SOLVER.EPOCHS = 1.0
    cfg.merge_from_list([key, value])
    with pytest.raises(UserError, match=f"{key} is {value}"):
        resolve_schedule(cfg)


def flags(folder: Path, dataset: str, *options: str, eval_only: bool) -> argparse.Namespace:
    own = ["OUTPUT_DIR", str(folder), "DATASETS.TRAIN", f"('{dataset}',)", *options]
    return argparse.Namespace(config_file="", opts=own, eval_only=eval_only)


def test_the_config_of_a_run_has_plain_numbers_and_resumes(
    tmp_path: Path, dataset: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = ("SOLVER.EPOCHS", "4", "SOLVER.IMS_PER_BATCH", "2")
    cfg = training_config(flags(tmp_path, dataset, *options, eval_only=False))
    record_run(cfg, "")
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert written["SOLVER"]["MAX_ITER"] == 20
    args = flags(tmp_path, dataset, eval_only=False)
    args.config_file = str(tmp_path / "config.yaml")
    assert describe_changes(training_config(args), tmp_path / "config.yaml") == ""
    with caplog.at_level(logging.INFO):
        log_schedule(cfg)
    assert "SOLVER.EPOCHS 4: 20 iterations of 2 images" in caplog.text


def test_an_evaluation_needs_no_training_data(tmp_path: Path, dataset: str) -> None:
    with registered([]) as empty:
        options = ("SOLVER.EPOCHS", "4.0")
        cfg = training_config(flags(tmp_path, empty, *options, eval_only=True))
        assert cfg.SOLVER.MAX_ITER == 40000
        with pytest.raises(UserError, match="cannot be trained on"):
            training_config(flags(tmp_path, empty, *options, eval_only=False))


def test_the_data_that_were_counted_are_not_read_again(tmp_path: Path) -> None:
    records, readings = write_records(tmp_path, IMAGES), []
    with registered(records) as name:
        from detectron2.data import DatasetCatalog

        DatasetCatalog[name] = lambda: readings.append(1) or list(records)
        cfg = toy_cfg(name)
        cfg.SOLVER.EPOCHS = 1.0
        resolve_schedule(cfg)
        assert len(training_records(cfg)) == 10
        assert len(readings) == 1
