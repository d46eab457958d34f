"""Losses that know the masks: in parts, by two workers and resumed, training takes the same steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode

from solo.training import launch
from tests.training.test_early_training import assert_alike, train, trained, weights_in
from tests.training.training_toys import solov2_config


def quality_config(folder: Path, category: str, **solver: Any) -> CfgNode:
    solver = {"LR_SCHEDULER_NAME": "WarmupMultiStepLR", "STEPS": (), **solver}
    cfg = solov2_config(folder, WARMUP_FACTOR=1.0, OPTIMIZER="SGD", **solver)
    cfg.MODEL.SOLO.LOSS.CATEGORY, cfg.MODEL.SOLO.QUALITY.ENABLED = category, True
    return cfg


def test_parts_take_the_step_of_the_whole(tmp_path: Path) -> None:
    expected = trained(quality_config(tmp_path / "whole", "varifocal", MAX_ITER=1))
    parts = quality_config(tmp_path / "parts", "varifocal", MAX_ITER=1, ACCUMULATE=2)
    assert_alike(trained(parts), expected)


def train_as_worker(folder: str) -> None:
    for category in ("quality_focal", "rank_sort"):
        train(quality_config(Path(folder, category), category, MAX_ITER=1))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_two_workers_take_the_step_of_one(tmp_path: Path, free_url: str) -> None:
    launch(train_as_worker, (str(tmp_path / "two"),), num_gpus=2, dist_url=free_url)
    train_as_worker(str(tmp_path / "one"))
    for category in ("quality_focal", "rank_sort"):
        expected = weights_in(tmp_path / "one" / category)
        assert_alike(weights_in(tmp_path / "two" / category), expected)


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    expected = trained(quality_config(tmp_path / "whole", "rank_sort", MAX_ITER=3))
    trained(quality_config(tmp_path / "broken", "rank_sort", MAX_ITER=2))
    again = quality_config(tmp_path / "broken", "rank_sort", MAX_ITER=3)
    resumed = trained(again, resume=True)
    for key, value in expected.items():
        assert torch.equal(resumed[key], value), key
