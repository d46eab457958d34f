"""A schedule that makes no sense is told with its numbers; the published ones are fine."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from detectron2.config import CfgNode

from solo.config import get_cfg
from solo.training import Trainer
from solo.training.sanity import duration_warning, schedule_warnings
from tests.toys import registered, square, toy_cfg, write_records
from tests.training.training_toys import ToyTrainer, toy_config

CONFIGS = Path(__file__).parents[2] / "configs"
COCO_IMAGES = 117_266  # of train2017, those with objects


def config(name: str = "coco/solov2_R_50_FPN_1x.yaml", **solver: Any) -> CfgNode:
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / name))
    for key, value in solver.items():
        cfg.SOLVER[key] = value
    return cfg


@pytest.mark.parametrize("name", sorted(path.name for path in (CONFIGS / "coco").glob("*.yaml")))
def test_published_schedules_on_coco_are_fine(name: str) -> None:
    assert [*schedule_warnings(config(f"coco/{name}"), COCO_IMAGES)] == []


def test_epochs_of_few_images() -> None:
    cfg = config()
    (told,) = schedule_warnings(cfg, 16)
    assert told.startswith(
        "90,000 iterations of 16 images are 90,000 epochs of your 16 images; there is no evaluation "
        "before the end. For small data"
    )
    cfg.TEST.EVAL_PERIOD = 100
    (told,) = schedule_warnings(cfg, 16)
    assert "no evaluation" not in told
    # 4 * 300 / 4 = 300 epochs are not too many, 305 are.
    for iterations, count in ((300, 0), (305, 1)):
        cfg = config(MAX_ITER=iterations, WARMUP_ITERS=10, IMS_PER_BATCH=4, BASE_LR=0.0025)
        cfg.TEST.EVAL_PERIOD = 10
        assert len([*schedule_warnings(cfg, 4)]) == count


def test_one_image_is_no_images() -> None:
    cfg = config(MAX_ITER=400, IMS_PER_BATCH=1, WARMUP_ITERS=10, BASE_LR=0.0006)
    (told,) = schedule_warnings(cfg, 1)
    assert told.startswith("400 iterations of 1 image are 400 epochs of your 1 image; ")


def test_an_evaluation_at_the_end_only() -> None:
    cfg = config(MAX_ITER=1000)
    for period, blind in ((0, True), (100, False), (1000, True)):
        cfg.TEST.EVAL_PERIOD = period
        told = [*schedule_warnings(cfg, 160)]  # 100 epochs
        assert bool(told) == blind
        assert all(
            "without an evaluation before the end: set TEST.EVAL_PERIOD 100" in t for t in told
        )
    cfg.DATASETS.TEST = ()
    assert [*schedule_warnings(cfg, 160)] == []


def test_images_that_are_never_seen() -> None:
    (told,) = schedule_warnings(config(MAX_ITER=1000), 20_000)
    assert "1,000 iterations of 16 images show 16,000 of your 20,000 images" in told
    assert [*schedule_warnings(config(MAX_ITER=1000), 16_000)] == []


def test_a_rate_for_more_images() -> None:
    (told,) = schedule_warnings(config(IMS_PER_BATCH=2), COCO_IMAGES // 8)
    assert "SOLVER.BASE_LR 0.01 is 8.0 times the published rate" in told
    assert "scaled to 2: set it to 0.00125" in told
    for changed in ({"BASE_LR": 0.00125}, {"BASE_LR": 0.0001}, {"OPTIMIZER": "AdamW"}):
        assert [*schedule_warnings(config(IMS_PER_BATCH=2, **changed), COCO_IMAGES // 8)] == []


def test_a_warm_up_without_end_and_frozen_random_weights() -> None:
    cfg = config(MAX_ITER=400)
    (told,) = schedule_warnings(cfg, 800)
    assert "500 iterations takes all 400: set SOLVER.WARMUP_ITERS 40" in told
    cfg = config()
    cfg.MODEL.SOLO.FREEZE = "backbone"
    assert [*schedule_warnings(cfg, COCO_IMAGES)] == []
    cfg.MODEL.WEIGHTS = ""
    (told,) = schedule_warnings(cfg, COCO_IMAGES)
    assert "FREEZE backbone leaves random weights" in told
    cfg.MODEL.SOLO.FREEZE = "none"
    cfg.MODEL.BACKBONE.NAME, cfg.MODEL.TIMM.FREEZE_NORM = "build_timm_fpn_backbone", True
    (told,) = schedule_warnings(cfg, COCO_IMAGES)
    assert "FREEZE_AT 0 and FREEZE_NORM True leave random weights" in told


def test_a_training_tells_it_once_at_its_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with registered(write_records(tmp_path, [[square(4, 4, 30)]])) as name:
        cfg = toy_cfg(name)
        cfg.OUTPUT_DIR, cfg.SOLVER.MAX_ITER = str(tmp_path), 200
        trainer = Trainer(cfg)
        trainer.resume_or_load()
        trainer.prepare_data()
    told = [r.getMessage() for r in caplog.records if r.name == "solo.training.sanity"]
    assert len(told) == 1
    assert "200 iterations of 2 images are 400 epochs of your 1 image" in told[0]


def test_days() -> None:
    told = duration_warning(21.0, 90_000, on_cpu=True)
    assert told.startswith("21 s an iteration here: the 90,000 that are left take 22 days.")
    assert told.endswith("or a GPU.")
    assert "or more GPUs." in duration_warning(3.25, 90_000, on_cpu=False)
    assert duration_warning(2.88, 90_000, on_cpu=True) == ""  # three days


def test_days_of_a_lighter_model() -> None:
    told = duration_warning(21.0, 90_000, on_cpu=True, light=lambda: 0.25)
    name = "coco/solov2_light_448_R_50_FPN_3x"
    assert f"({name}: about 5.2 s an iteration here, 5 days), or a GPU." in told
    assert name not in duration_warning(21.0, 90_000, on_cpu=True, light=lambda: 0.8)
    assert f"({name}), or a GPU" in duration_warning(21.0, 90_000, on_cpu=True)
    # It is counted only where it is told.
    assert duration_warning(1.0, 90_000, on_cpu=True, light=lambda: 1 / 0) == ""


class ShortTrainer(ToyTrainer):
    """A trainer whose data ends after 25 batches."""

    def build_train_loader(self, start_iteration: int) -> Iterator[list[dict[str, Any]]]:
        return islice(super().build_train_loader(start_iteration), 25)


@pytest.mark.parametrize("iterations", [10**10, 10**5])
def test_the_time_is_that_of_the_first_steps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, iterations: int
) -> None:
    trainer = ShortTrainer(toy_config(tmp_path, MAX_ITER=iterations, CHECKPOINT_PERIOD=10**6))
    trainer.resume_or_load()
    with pytest.raises(StopIteration):
        trainer.train()
    told = [r.getMessage() for r in caplog.records if r.name == "solo.training.sanity"]
    if iterations == 10**5:  # of milliseconds
        assert told == []
    else:
        (sentence,) = told
        assert "s an iteration here: the 9,999,999,9" in sentence
