"""A training from boxes alone, which warms up by the iteration."""

from pathlib import Path

import torch

from solo.checkpoint import read_checkpoint
from tests.training.training_toys import RectangleTrainer, learn_from_boxes, solov2_config


def run(folder: Path, max_iter: int, *, resume: bool = False) -> RectangleTrainer:
    solver = {"MAX_ITER": max_iter, "STEPS": (), "CHECKPOINT_PERIOD": 1, "BASE_LR": 0.01}
    cfg = learn_from_boxes(solov2_config(folder, LR_SCHEDULER_NAME="WarmupMultiStepLR", **solver))
    cfg.MODEL.SOLO.BOX_SUPERVISION.WARMUP_ITERS = 4
    trainer = RectangleTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return trainer


def test_a_resumed_run_warms_up_where_it_was(tmp_path: Path) -> None:
    run(tmp_path / "whole", 3)
    run(tmp_path / "broken", 2)
    assert run(tmp_path / "broken", 3, resume=True).start_iter == 2
    whole, broken = (
        read_checkpoint(tmp_path / name / "model_final.pth")["model"]
        for name in ("whole", "broken")
    )
    for key, value in whole.items():
        assert torch.equal(value, broken[key]), key
