"""The keys of the early SOLO, all switched: in parts, by two workers and resumed, training takes the same steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.checkpoint import read_checkpoint
from solo.training import launch
from tests.training.training_toys import RectangleTrainer, solov2_config


def early_config(folder: Path, **solver: Any) -> CfgNode:
    # A rate that does not depend on the end, which comes earlier in a run that is interrupted.
    solver = {"LR_SCHEDULER_NAME": "WarmupMultiStepLR", "STEPS": (), **solver}
    cfg = solov2_config(folder, WARMUP_FACTOR=1.0, OPTIMIZER="SGD", **solver)
    node = cfg.MODEL.SOLO
    cfg.MODEL.META_ARCHITECTURE, node.CENTER = "SOLO", "box"
    node.LOSS.MASK_STRIDE, node.LOSS.NEGATIVES, node.LOSS.DICE_SMOOTH = 8, 1.0, 1.0
    node.LOSS.CATEGORY, node.LOSS.CATEGORY_NORMALIZER = "softmax", "images"
    return cfg


def train(cfg: CfgNode, *, resume: bool = False) -> None:
    trainer = RectangleTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.train()


def trained(cfg: CfgNode, *, resume: bool = False) -> dict[str, Tensor]:
    """Train, and return the weights of the end."""
    train(cfg, resume=resume)
    return weights_in(cfg.OUTPUT_DIR)


def weights_in(folder: str | Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = read_checkpoint(Path(folder, "model_final.pth"))["model"]
    return weights


def assert_alike(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for key, value in expected.items():
        torch.testing.assert_close(weights[key], value, atol=1e-6, rtol=1e-5, msg=key)


def test_parts_take_the_step_of_the_whole(tmp_path: Path) -> None:
    expected = trained(early_config(tmp_path / "whole", MAX_ITER=1))
    assert_alike(trained(early_config(tmp_path / "parts", MAX_ITER=1, ACCUMULATE=2)), expected)


def train_as_worker(folder: str) -> None:
    train(early_config(Path(folder), MAX_ITER=1))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_two_workers_take_the_step_of_one(tmp_path: Path, free_url: str) -> None:
    launch(train_as_worker, (str(tmp_path / "two"),), num_gpus=2, dist_url=free_url)
    expected = trained(early_config(tmp_path / "one", MAX_ITER=1))
    assert_alike(weights_in(tmp_path / "two"), expected)


def test_a_resumed_run_draws_what_an_uninterrupted_one_draws(tmp_path: Path) -> None:
    expected = trained(early_config(tmp_path / "whole", MAX_ITER=4))
    trained(early_config(tmp_path / "broken", MAX_ITER=2))
    resumed = trained(early_config(tmp_path / "broken", MAX_ITER=4), resume=True)
    for key, value in expected.items():
        assert torch.equal(resumed[key], value), key
