"""Keys of losses, all of a kind switched: in parts, by two workers and resumed, training takes the same steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from torch import Tensor

from solo.checkpoint import read_checkpoint
from solo.training import launch
from tests.training.training_toys import RectangleTrainer, solov2_config


def early(node: CfgNode) -> None:
    """Switch the keys of the early SOLO."""
    node.CENTER = "box"
    node.LOSS.MASK_STRIDE, node.LOSS.NEGATIVES, node.LOSS.DICE_SMOOTH = 8, 1.0, 1.0
    node.LOSS.CATEGORY, node.LOSS.CATEGORY_NORMALIZER = "softmax", "images"


def mask_terms(node: CfgNode) -> None:
    """Switch the terms of masks, the semantic loss and other coordinates."""
    node.LOSS.POINT_BCE_WEIGHT = node.LOSS.BOUNDARY_DICE_WEIGHT = node.LOSS.MASK_BCE_WEIGHT = 1.0
    node.LOSS.SEMANTIC_WEIGHT, node.LOSS.POINTS = 1.0, 20
    node.COORDINATES = "fourier"


def quality_focal(node: CfgNode) -> None:
    """Switch scores that know the masks."""
    node.LOSS.CATEGORY, node.QUALITY.ENABLED = "quality_focal", True


def varifocal(node: CfgNode) -> None:
    node.LOSS.CATEGORY, node.QUALITY.ENABLED = "varifocal", True


def rank_sort(node: CfgNode) -> None:
    node.LOSS.CATEGORY, node.QUALITY.ENABLED = "rank_sort", True


Keys = Callable[[CfgNode], None]
KINDS: tuple[Keys, ...] = (early, mask_terms, quality_focal, varifocal, rank_sort)
each_kind = pytest.mark.parametrize("keys", KINDS)


def config(keys: Keys, folder: Path, **solver: Any) -> CfgNode:
    # A rate that does not depend on the end, which comes earlier in a run that is interrupted.
    solver = {"LR_SCHEDULER_NAME": "WarmupMultiStepLR", "STEPS": (), **solver}
    cfg = solov2_config(folder, WARMUP_FACTOR=1.0, OPTIMIZER="SGD", **solver)
    cfg.MODEL.META_ARCHITECTURE = "SOLO" if keys is early else "SOLOv2"
    keys(cfg.MODEL.SOLO)
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


# A rank is one among all cells of a batch: rank_sort refuses parts.
@pytest.mark.parametrize("keys", KINDS[:-1])
def test_parts_take_the_step_of_the_whole(keys: Keys, tmp_path: Path) -> None:
    expected = trained(config(keys, tmp_path / "whole", MAX_ITER=1))
    assert_alike(trained(config(keys, tmp_path / "parts", MAX_ITER=1, ACCUMULATE=2)), expected)


def train_all_kinds(folder: Path) -> None:
    for keys in KINDS:
        train(config(keys, folder / keys.__name__, MAX_ITER=1))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_two_workers_take_the_step_of_one(tmp_path: Path, free_url: str) -> None:
    launch(train_all_kinds, (tmp_path / "two",), num_gpus=2, dist_url=free_url)
    train_all_kinds(tmp_path / "one")
    for keys in KINDS:
        expected = weights_in(tmp_path / "one" / keys.__name__)
        assert_alike(weights_in(tmp_path / "two" / keys.__name__), expected)


@each_kind
def test_a_resumed_run_draws_what_an_uninterrupted_one_draws(keys: Keys, tmp_path: Path) -> None:
    expected = trained(config(keys, tmp_path / "whole", MAX_ITER=4))
    trained(config(keys, tmp_path / "broken", MAX_ITER=2))
    resumed = trained(config(keys, tmp_path / "broken", MAX_ITER=4), resume=True)
    for key, value in expected.items():
        assert torch.equal(resumed[key], value), key
