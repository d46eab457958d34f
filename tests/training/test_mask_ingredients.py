"""Mask terms, semantic loss and coordinates, all switched: in parts, by two workers and resumed, the same steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode

from solo.training import launch
from tests.training.test_early_training import assert_alike, train, trained, weights_in
from tests.training.training_toys import solov2_config


def full_config(folder: Path, **solver: Any) -> CfgNode:
    # A rate that does not depend on the end, which comes earlier in a run that is interrupted.
    solver = {"LR_SCHEDULER_NAME": "WarmupMultiStepLR", "STEPS": (), **solver}
    cfg = solov2_config(folder, WARMUP_FACTOR=1.0, OPTIMIZER="SGD", **solver)
    loss = cfg.MODEL.SOLO.LOSS
    loss.POINT_BCE_WEIGHT = loss.BOUNDARY_DICE_WEIGHT = loss.MASK_BCE_WEIGHT = 1.0
    loss.SEMANTIC_WEIGHT, loss.POINTS = 1.0, 20
    cfg.MODEL.SOLO.COORDINATES = "fourier"
    return cfg


def test_parts_take_the_step_of_the_whole(tmp_path: Path) -> None:
    expected = trained(full_config(tmp_path / "whole", MAX_ITER=1))
    assert_alike(trained(full_config(tmp_path / "parts", MAX_ITER=1, ACCUMULATE=2)), expected)


def train_as_worker(folder: str) -> None:
    train(full_config(Path(folder), MAX_ITER=1))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_two_workers_take_the_step_of_one(tmp_path: Path, free_url: str) -> None:
    launch(train_as_worker, (str(tmp_path / "two"),), num_gpus=2, dist_url=free_url)
    expected = trained(full_config(tmp_path / "one", MAX_ITER=1))
    assert_alike(weights_in(tmp_path / "two"), expected)


def test_a_resumed_run_draws_what_an_uninterrupted_one_draws(tmp_path: Path) -> None:
    expected = trained(full_config(tmp_path / "whole", MAX_ITER=4))
    trained(full_config(tmp_path / "broken", MAX_ITER=2))
    resumed = trained(full_config(tmp_path / "broken", MAX_ITER=4), resume=True)
    for key, value in expected.items():
        assert torch.equal(resumed[key], value), key
