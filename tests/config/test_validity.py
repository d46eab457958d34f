import argparse

import pytest
import torch

from solo.config import get_cfg
from solo.config.choices import NMS, check_words
from solo.config.validity import check_batch_size, check_config, check_device, check_solver
from solo.errors import UserError
from tests.conftest import make_cfg
from tests.yolox.conftest import make_yolox_cfg


@pytest.mark.parametrize(("batch", "workers"), [(6, 4), (0, 1)])
def test_a_batch_that_cannot_be_shared_is_named(batch: int, workers: int) -> None:
    cfg = get_cfg()
    cfg.SOLVER.IMS_PER_BATCH = batch
    with pytest.raises(ValueError, match=f"IMS_PER_BATCH is {batch}, which {workers} workers"):
        check_batch_size(cfg, workers)
    cfg.SOLVER.IMS_PER_BATCH = 2 * workers
    check_batch_size(cfg, workers)


def test_a_gpu_beyond_the_last_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda:1")
    with pytest.raises(ValueError, match="'cuda:2', but torch finds 2 CUDA devices"):
        check_device("cuda:2")


def test_loggers_without_a_value_are_a_sentence() -> None:
    cfg = get_cfg()
    cfg.LOGGERS = None
    with pytest.raises(UserError, match="LOGGERS is empty: give a list of tensorboard, wandb"):
        check_words(cfg)


def test_choices_of_a_command_are_listed_as_they_are_written(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--nms", choices=list(NMS))
    with pytest.raises(SystemExit):
        parser.parse_args(["--nms", "soft"])
    message = capsys.readouterr().err
    assert "Word" not in message and "NMS." not in message and "matrix" in message


@pytest.mark.parametrize(
    ("make", "test", "sentence"),
    [
        (
            make_yolox_cfg,
            {"BOUNDARY_AP": True},
            "is of masks, and YOLOX finds boxes alone: set it to",
        ),
        (make_yolox_cfg, {"BEST_METRIC": "segm/AP"}, "evaluated by bbox: choose one of these.$"),
        (get_cfg, {"BEST_METRIC": "boundary/AP"}, "bbox and segm: .*or set TEST.BOUNDARY_AP True"),
        (get_cfg, {"BEST_METRIC": "AP"}, "use one of segm/AP, boundary/AP, bbox/AP"),
    ],
)
def test_an_ap_that_the_model_does_not_have(make, test, sentence):
    cfg = make()
    cfg.MODEL.META_ARCHITECTURE = "YOLOX" if make is make_yolox_cfg else "SOLOv2"
    cfg.MODEL.BACKBONE.NAME = "build_resnet_backbone"
    cfg.MODEL.DEVICE = "cpu"
    check_config(cfg)
    cfg.TEST.update(test)
    with pytest.raises(UserError, match=sentence):
        check_config(cfg)


def test_ranks_of_all_cells_of_a_step_and_parts_of_it_exclude_each_other() -> None:
    cfg = get_cfg()
    cfg.SOLVER.ACCUMULATE = 2
    check_solver(cfg)
    cfg.MODEL.SOLO.LOSS.CATEGORY = "rank_sort"
    with pytest.raises(UserError, match=r"ACCUMULATE is 2, but .*CATEGORY 'rank_sort'"):
        check_solver(cfg)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["ASSIGNMENT", "dynamic", "DYNAMIC.TOPK", 0], "DYNAMIC.TOPK is 0"),
        (["LOSS.POINT_BCE_WEIGHT", 1.0, "LOSS.POINTS", 0], "LOSS.POINTS is 0"),
        (["LOSS.MASK_BCE_WEIGHT", -1.0], "LOSS.MASK_BCE_WEIGHT is -1.0"),
        (["LOSS.SEMANTIC_WEIGHT", -1.0], "LOSS.SEMANTIC_WEIGHT is -1.0"),
        (["QUALITY.WEIGHT", -1.0], "QUALITY.WEIGHT is -1.0"),
        (["QUALITY.EXPONENT", -1.0], "QUALITY.EXPONENT is -1.0"),
        (["TEST.LABELS_PER_CELL", -1], "TEST.LABELS_PER_CELL is -1"),
        (["SCALE_MARGIN", 0.5], "SCALE_MARGIN is 0.5"),
        (["COORDINATE_OCTAVES", 0], "COORDINATE_OCTAVES is 0"),
        (["MASK_FEATURE.UPSAMPLE", 3], "MASK_FEATURE.UPSAMPLE is 3"),
        (["LOSS.CATEGORY", "varifocal", "LOSS.SUPERVISION", "box"], "CATEGORY 'varifocal' asks"),
        (["LOSS.SUPERVISION", "box", "BOX_SUPERVISION.DILATION", 0], "DILATION is 0"),
    ],
)
def test_a_number_that_makes_no_sense_is_told_before_a_model_is_built(options, sentence):
    cfg = make_cfg("SOLOv2")
    check_config(cfg)
    keys, values = options[::2], options[1::2]
    for key, value in zip(keys, values, strict=True):
        cfg.merge_from_list([f"MODEL.SOLO.{key}", value])
    with pytest.raises(UserError, match=sentence):
        check_config(cfg)


@pytest.mark.parametrize(
    ("key", "value"),
    [("ASSIGNMENT", "dynamic"), ("LOSS.CATEGORY", "rank_sort"), ("QUALITY.ENABLED", True)],
)
def test_a_key_of_solo_is_refused_of_yolox(key: str, value: str | bool) -> None:
    cfg = make_yolox_cfg()
    cfg.merge_from_list([f"MODEL.SOLO.{key}", value])
    cfg.SOLVER.ACCUMULATE = 2
    check_solver(cfg)
    with pytest.raises(UserError, match=rf"MODEL.SOLO.{key} {value} is of SOLO and SOLOv2 only"):
        check_config(cfg)
