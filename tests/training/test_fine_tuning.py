"""A run that begins from a model of other classes, or trains a part of one, and goes on exactly."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.errors import UserError
from tests.training.training_toys import RectangleTrainer, solov2_config


@pytest.fixture
def shapes() -> Iterator[str]:
    """A data set with the classes of the toys in another order, and one more."""
    DatasetCatalog.register("shapes", list)
    MetadataCatalog.get("shapes").thing_classes = ["Square", "round", "star"]
    yield "shapes"
    DatasetCatalog.remove("shapes")
    MetadataCatalog.remove("shapes")


def run(cfg: Any, *, resume: bool = False) -> RectangleTrainer:
    trainer = RectangleTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    return trainer


def test_a_training_begins_from_other_classes_and_resumes_with_its_own(
    tmp_path: Path, shapes: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(solov2_config(tmp_path / "first", MAX_ITER=1, STEPS=()))
    first.train()
    cfg = solov2_config(tmp_path / "second", MAX_ITER=2, STEPS=())
    cfg.MODEL.WEIGHTS = str(tmp_path / "first/model_final.pth")
    cfg.DATASETS.TRAIN, cfg.MODEL.SOLO.NUM_CLASSES = (shapes,), 3
    fresh = RectangleTrainer(cfg).module.head.category_predictor.bias[2].item()
    with caplog.at_level(logging.INFO):
        second = run(cfg)
    assert (
        f"2 of 3 classes start from {cfg.MODEL.WEIGHTS}: Square, round; fresh: star." in caplog.text
    )
    bias = first.module.head.category_predictor.bias
    assert second.module.head.category_predictor.bias.tolist() == [bias[1], bias[0], fresh]
    assert not second.optimizer.state  # nothing is loaded but weights
    second.train()
    resumed = run(cfg, resume=True).module.state_dict()
    assert all(
        torch.equal(value, resumed[key]) for key, value in second.module.state_dict().items()
    )

    MetadataCatalog.remove(shapes)
    MetadataCatalog.get(shapes).thing_classes = ["round", "Square", "star"]
    with pytest.raises(UserError, match=r"3 classes \(Square, round, star\), but"):
        run(cfg, resume=True)


@pytest.mark.parametrize("freeze", ["backbone", "all_but_head"])
def test_a_frozen_run_that_is_resumed_ends_like_an_uninterrupted_one(
    tmp_path: Path, freeze: str
) -> None:
    runs = {}
    for name, iterations in (("whole", 4), ("broken", 2)):
        cfg = solov2_config(tmp_path / name, MAX_ITER=iterations, STEPS=())
        cfg.SOLVER.LR_SCHEDULER_NAME = "WarmupMultiStepLR"  # whose rates do not depend on the end
        cfg.MODEL.SOLO.FREEZE = freeze
        cfg.MODEL.RESNETS.NORM = "BN"
        runs[name] = run(cfg)
        before = {key: value.clone() for key, value in runs[name].module.state_dict().items()}
        runs[name].train()
    cfg.SOLVER.MAX_ITER = 4
    resumed = run(cfg, resume=True)
    assert resumed.start_iter == 2
    resumed.train()
    whole = runs["whole"].module.state_dict()
    for key, value in resumed.module.state_dict().items():
        assert torch.equal(value, whole[key]), key
        if key.startswith("backbone.bottom_up."):
            assert torch.equal(value, before[key]), key
    assert not torch.equal(
        whole["head.category_predictor.bias"], before["head.category_predictor.bias"]
    )
