"""Dynamic assignment in training: by two workers, in parts, and resumed in the middle of its warm-up."""

from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.checkpoint import read_checkpoint
from solo.training import launch
from tests.training.training_toys import RectangleTrainer, solov2_config


def dynamic_config(folder: Path, warmup: int = 0, **solver: Any) -> CfgNode:
    # A rate that does not depend on the end, which comes earlier in a run that is interrupted.
    schedule = {"LR_SCHEDULER_NAME": "WarmupMultiStepLR", "STEPS": (), "WARMUP_FACTOR": 1.0}
    cfg = solov2_config(folder, OPTIMIZER="SGD", **schedule, **solver)
    node = cfg.MODEL.SOLO
    node.ASSIGNMENT, node.DYNAMIC.WARMUP_ITERS, node.DYNAMIC.MIN_CELLS = "dynamic", warmup, 3
    return cfg


def train(cfg: CfgNode, *, resume: bool = False) -> dict[str, Tensor]:
    """Train, and return the weights of the end."""
    trainer = RectangleTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return weights_in(cfg.OUTPUT_DIR)


def weights_in(folder: str | Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = read_checkpoint(Path(folder, "model_final.pth"))["model"]
    return weights


def train_as_worker(folder: str) -> None:
    trainer = RectangleTrainer(dynamic_config(Path(folder), MAX_ITER=2))
    trainer.resume_or_load()
    trainer.train()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_two_workers_take_the_steps_of_one(tmp_path: Path, free_url: str) -> None:
    launch(train_as_worker, (str(tmp_path / "two"),), num_gpus=2, dist_url=free_url)
    expected = train(dynamic_config(tmp_path / "one", MAX_ITER=2))
    weights = weights_in(tmp_path / "two")
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value, atol=1e-5, rtol=1e-4, msg=key)


def test_parts_are_divided_by_their_own_counts(tmp_path: Path) -> None:
    trainer = RectangleTrainer(dynamic_config(tmp_path, MAX_ITER=1, ACCUMULATE=2))
    trainer.resume_or_load()
    trainer.train()
    gradients = {name: p.grad for name, p in trainer.module.named_parameters()}
    alone = RectangleTrainer(trainer.cfg)
    batch = next(alone.build_train_loader(0))
    for part in (batch[:2], batch[2:]):
        (sum(alone.module.train()(part).values()) / 2).backward()
    for name, parameter in alone.module.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, msg=name)


def test_a_run_resumed_in_its_warm_up_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    expected = train(dynamic_config(tmp_path / "whole", warmup=3, MAX_ITER=5))
    train(dynamic_config(tmp_path / "broken", warmup=3, MAX_ITER=2))
    resumed = train(dynamic_config(tmp_path / "broken", warmup=3, MAX_ITER=5), resume=True)
    for key, value in expected.items():
        assert torch.equal(resumed[key], value), key
