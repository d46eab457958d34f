"""YOLOX in training: it learns, its last phase begins where it should, and a resumed run is the whole one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from detectron2.utils.events import EventStorage

from solo.checkpoint import read_checkpoint
from solo.training import Trainer
from tests.conftest import training_item
from tests.toys import registered, square, write_records
from tests.yolox.conftest import make_yolox_cfg as tiny_cfg

LOSSES = {"loss_box", "loss_objectness", "loss_category"}
LENGTH, LAST_PHASE = 6, 3


def a_batch() -> list[dict[str, Any]]:
    return [training_item(), training_item(boxes=((20, 4, 60, 40),), classes=(1,), seed=1)]


def test_the_losses_of_a_batch_fall() -> None:
    torch.manual_seed(0)
    model = build_model(tiny_cfg()).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    totals = []
    for _ in range(25):
        losses = model(a_batch())
        assert losses.keys() == LOSSES
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total))
    assert totals[-1] < totals[0] / 2


def test_images_without_objects_train_too() -> None:
    model = build_model(tiny_cfg()).train()
    losses = model([training_item(boxes=(), classes=()) for _ in range(2)])
    torch.stack(list(losses.values())).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_inputs_without_instances_are_named() -> None:
    with pytest.raises(ValueError, match="no instances"):
        build_model(tiny_cfg()).train()([{"image": torch.zeros(3, 64, 64)}])


def test_the_size_of_a_batch_follows_the_iteration() -> None:
    model = build_model(tiny_cfg(MULTI_SCALE=[32, 128])).train()
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-1]))
    for iteration in (0, 10, 20, 30):
        with EventStorage(iteration):
            model(a_batch())
    assert seen == [model.multi_scale.size(iteration) for iteration in (0, 10, 20, 30)]
    assert len(set(seen)) > 1
    model(a_batch())
    assert seen[-1] == 64


class Step(NamedTuple):
    iteration: int
    losses: set[str]
    objects: list[int]


class WatchedTrainer(Trainer):
    """Notes what is trained on, and breaks where it is told to."""

    def __init__(self, cfg: CfgNode, break_at: int = -1) -> None:
        torch.manual_seed(cfg.SEED)
        super().__init__(cfg)
        self.steps: list[Step] = []
        self.break_at = break_at
        self.module.register_forward_hook(self._note)

    def _note(self, _: Any, inputs: tuple[Any, ...], losses: dict[str, Any]) -> None:
        if self.iter == self.break_at:
            raise ConnectionError("the machine is gone")
        counts = [len(item["instances"]) for item in inputs[0]]
        self.steps.append(Step(self.iter, set(losses), counts))


@pytest.fixture
def cfg(tmp_path: Path) -> Iterator[CfgNode]:
    """A run of six iterations, of which the last three go without mosaic and mixup, by two loader workers."""
    cfg = tiny_cfg(MULTI_SCALE=[32, 96])
    cfg.SEED, cfg.DATALOADER.NUM_WORKERS = 3, 2
    cfg.SOLVER.MAX_ITER, cfg.INPUT.MULTI_IMAGE_OFF_ITERS = LENGTH, LAST_PHASE
    cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.CHECKPOINT_PERIOD = 2, 2
    cfg.SOLVER.LR_SCHEDULER_NAME, cfg.SOLVER.WARMUP_ITERS = "WarmupCosineFlatLR", 1
    cfg.SOLVER.NESTEROV, cfg.SOLVER.EMA.ENABLED = True, True
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (64,), 64
    cfg.INPUT.MOSAIC.PROB = cfg.INPUT.MIXUP.PROB = 1.0
    cfg.DATASETS.TEST = ()
    images = [[square(2 * index, 4, 40, index % 3)] for index in range(8)]
    with registered(write_records(tmp_path, images)) as name:
        cfg.DATASETS.TRAIN = (name,)
        yield cfg


def run(cfg: CfgNode, folder: Path, *, resume: bool = False, break_at: int = -1) -> list[Step]:
    cfg = cfg.clone()
    cfg.OUTPUT_DIR = str(folder)
    folder.mkdir(exist_ok=True)
    trainer = WatchedTrainer(cfg, break_at)
    trainer.resume_or_load(resume=resume)
    if break_at < 0:
        trainer.train()
    else:
        with pytest.raises(ConnectionError):
            trainer.train()
    return trainer.steps


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)


def test_the_last_phase_holds_in_all_workers_and_after_a_resumption(
    cfg: CfgNode, tmp_path: Path
) -> None:
    whole = run(cfg, tmp_path / "whole")
    assert [step.iteration for step in whole] == list(range(LENGTH))
    for step in whole:
        is_last = step.iteration >= LENGTH - LAST_PHASE
        assert step.losses == (LOSSES | {"loss_l1"} if is_last else LOSSES)
        # Each image has one object; four of a mosaic, and four of another, have several.
        assert all((count == 1) is is_last for count in step.objects), step
    # Once before the last phase begins, and once within it.
    run(cfg, tmp_path / "broken", break_at=2)
    resumed = run(cfg, tmp_path / "broken", resume=True, break_at=5)
    assert resumed == whole[2:5]
    assert run(cfg, tmp_path / "broken", resume=True) == whole[4:]
    # The average, and the weights that training went on with, beside the momentum.
    files = [read_checkpoint(tmp_path / name / "model_final.pth") for name in ("whole", "broken")]
    assert files[0]["trainer"]["hooks"]["WeightAverage"]["steps"] == LENGTH
    for part in ("model", "trainer"):
        assert_same(files[0][part], files[1][part])
