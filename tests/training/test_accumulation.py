"""A batch in parts: the losses, the step and the schedule of the batch as a whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.utils import comm
from torch import Tensor, nn
from torch.distributed import GradBucket
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from solo.checkpoint import read_checkpoint
from solo.config.validity import check_solver
from solo.training import launch
from tests.training.training_toys import (
    RectangleTrainer,
    ToyTrainer,
    draw_rectangles,
    learn_from_boxes,
    solov2_config,
    toy_config,
    train,
)

FULL_RATE = {"WARMUP_FACTOR": 1.0, "BASE_LR": 0.05, "OPTIMIZER": "SGD"}


def move_off_zero(model: nn.Module) -> nn.Module:
    """Where an image is of one colour, normalised features are 0: rounding would decide what a ReLU lets through."""
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.constant_(module.bias, 0.1)
    return model


def step_of(trainer: ToyTrainer) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Train as the config says; return the gradients of the last step, and the losses of it."""
    trainer.resume_or_load()
    move_off_zero(trainer.module)
    trainer.train()
    named = trainer.module.named_parameters()
    gradients = {name: item.grad.clone() for name, item in named if item.grad is not None}
    lines = Path(trainer.cfg.OUTPUT_DIR, "metrics.json").read_text().splitlines()
    losses = {key: value for key, value in json.loads(lines[-1]).items() if "loss" in key}
    return gradients, losses


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("kind", ["SOLOv2", "SOLO", "boxes", "toy"])
def test_parts_make_the_step_of_the_whole(tmp_path: Path, kind: str, parts: int) -> None:
    # With images of 3, 0, 1 and 2 objects: the parts have normalisers of their own.
    steps = []
    for number in (1, parts):
        folder = tmp_path / str(number)
        solver = {"MAX_ITER": 1, "ACCUMULATE": number, **FULL_RATE}
        if kind == "toy":
            steps.append(step_of(ToyTrainer(toy_config(folder, **solver))))
        else:
            cfg = solov2_config(folder, **solver)
            if kind == "boxes":
                learn_from_boxes(cfg)
            else:
                cfg.MODEL.META_ARCHITECTURE = kind
            steps.append(step_of(RectangleTrainer(cfg)))
    (gradients, losses), (in_parts, losses_in_parts) = steps
    assert losses_in_parts == pytest.approx(losses, rel=1e-5)
    # A part without objects gives a gradient of zero also to what SOLO does not read.
    assert not any(in_parts[name].any() for name in in_parts.keys() - gradients.keys())
    scale = max(float(gradient.norm()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        # Rounding in deep layers; with the normalisers of each part it would be a third.
        assert float((in_parts[name] - gradient).norm()) < 1e-3 * scale, name


class MixedTrainer(RectangleTrainer):
    """A trainer on parts whose images are of other sizes than those of the other part."""

    def build_train_loader(self, start_iteration: int) -> Iterator[list[dict[str, Any]]]:
        while True:
            batch = [draw_rectangles(count, seed) for seed, count in enumerate((3, 0, 1, 2))]
            for item in batch[2:]:
                item["image"] = item["image"][:, :40, :56]
                item["instances"] = item["instances"][:0]
            yield batch


def test_what_is_counted_is_what_the_parts_are_trained_on(tmp_path: Path) -> None:
    # The second part has nothing, so the normalisers are those of the first.
    trainer = MixedTrainer(solov2_config(tmp_path / "parts", MAX_ITER=1, ACCUMULATE=2, **FULL_RATE))
    _, losses = step_of(trainer)
    batch = next(trainer.build_train_loader(0))
    torch.manual_seed(trainer.cfg.SEED)
    model = move_off_zero(MixedTrainer(trainer.cfg).module).train()
    whole = {name: float(loss) for name, loss in model(batch[:2]).items()}
    assert losses["loss_mask"] == pytest.approx(whole["loss_mask"], rel=1e-5)
    assert losses["loss_category"] > whole["loss_category"]


def dropping(folder: Path, **solver: Any) -> CfgNode:
    cfg = toy_config(folder, ACCUMULATE=2, STEPS=(), WARMUP_ITERS=0, **solver)
    cfg.MODEL.DROPOUT = 0.5
    cfg.SOLVER.AMP.ENABLED, cfg.MODEL.CPU.BFLOAT16 = True, "on"
    return cfg


def test_a_resumed_run_in_parts_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(dropping(tmp_path / "whole"))
    train(dropping(tmp_path / "broken", MAX_ITER=4))
    resumed = train(dropping(tmp_path / "broken"), resume=True)
    assert (resumed.start_iter, resumed.iter, whole.iter) == (4, 6, 6)
    files = [read_checkpoint(tmp_path / name / "model_final.pth") for name in ("whole", "broken")]
    for key, value in files[0]["model"].items():
        assert torch.equal(value, files[1]["model"][key]), key


def test_a_loss_that_is_not_finite_in_one_part_changes_nothing(tmp_path: Path) -> None:
    trainer = ToyTrainer(toy_config(tmp_path, ACCUMULATE=4))
    trainer.resume_or_load()
    before = trainer.module.mask.weight.clone()

    def build_bad(start_iteration: int) -> Iterator[list[dict[str, Any]]]:
        (batch,) = [next(ToyTrainer.build_train_loader(trainer, start_iteration))]
        batch[1]["image"] = batch[1]["image"] * float("nan")
        yield batch

    trainer.build_train_loader = build_bad
    with pytest.raises(FloatingPointError, match=r"iteration 0 .*0_0\.png, 0_1\.png"):
        trainer.train()
    assert torch.equal(trainer.module.mask.weight, before)


def note_exchange(exchanges: list[bool], bucket: GradBucket) -> torch.futures.Future[Tensor]:
    exchanges.append(bucket.is_last())
    return allreduce_hook(None, bucket)


def configs_of_a_step(folder: Path, **solver: Any) -> Iterator[CfgNode]:
    """Yield a config that learns from masks, and one that learns from boxes."""
    yield solov2_config(folder / "masks", MAX_ITER=1, **FULL_RATE, **solver)
    yield learn_from_boxes(solov2_config(folder / "boxes", MAX_ITER=1, **FULL_RATE, **solver))


def step_as_worker(output_dir: str) -> None:
    for cfg in configs_of_a_step(Path(output_dir), ACCUMULATE=2):
        trainer = RectangleTrainer(cfg)
        exchanges = []
        trainer.model.register_comm_hook(exchanges, note_exchange)
        trainer.resume_or_load()
        trainer.train()
        Path(cfg.OUTPUT_DIR, f"{comm.get_rank()}.txt").write_text(str(sum(exchanges)))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="as many processes as GPUs")
def test_workers_take_the_step_of_one_and_exchange_gradients_once(
    tmp_path: Path, free_url: str
) -> None:
    launch(step_as_worker, (str(tmp_path / "two"),), num_gpus=2, dist_url=free_url)
    for cfg in configs_of_a_step(tmp_path / "one"):
        trainer = RectangleTrainer(cfg)
        trainer.resume_or_load()
        trainer.train()
        one = Path(cfg.OUTPUT_DIR)
        two = tmp_path / "two" / one.name
        assert [(two / f"{rank}.txt").read_text() for rank in range(2)] == ["1", "1"]
        weights, expected = (
            read_checkpoint(folder / "model_final.pth")["model"] for folder in (two, one)
        )
        for key, value in expected.items():
            torch.testing.assert_close(weights[key], value, atol=1e-6, rtol=1e-5)


def test_a_batch_that_makes_no_equal_parts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ACCUMULATE is 3, but the 4 images .* divisor of 4"):
        ToyTrainer(toy_config(tmp_path, ACCUMULATE=3))
    with pytest.raises(ValueError, match=r"SOLVER\.ACCUMULATE is 0; it has to be 1 at least"):
        check_solver(toy_config(tmp_path, ACCUMULATE=0))
