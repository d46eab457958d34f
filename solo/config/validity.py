"""What a config must not ask for: a device, a part or a batch that there is not."""

import torch
from detectron2.config import CfgNode
from detectron2.modeling import BACKBONE_REGISTRY, META_ARCH_REGISTRY
from fvcore.common.registry import Registry

from solo.architectures import (
    architecture,
    check_is_solo,
    check_keys,
    node_name,
    predicts_masks,
    tasks_of,
)
from solo.config.choices import Assignment, CategoryLoss, Freeze, check_words
from solo.errors import UserError


def check_config(cfg: CfgNode) -> None:
    """Raise a UserError at a word, a number, a part or a device that there is not, before any work."""
    check_words(cfg)
    check_parts(cfg)
    check_keys(cfg)
    check_evaluated(cfg)
    check_device(cfg.MODEL.DEVICE)


def check_device(device: str) -> None:
    """Raise a UserError at a MODEL.DEVICE that torch does not find here."""
    try:
        place = torch.device(device)
        if place.type != "cuda":  # a context on a GPU would stay, also where only workers need it
            torch.empty(0, device=place)
    except Exception as error:  # of another class for nearly each kind of device
        raise UserError(f"MODEL.DEVICE is {device!r}: give cpu, cuda or cuda:1.") from error
    if place.type != "cuda":
        return
    if not torch.cuda.is_available():
        raise UserError(
            f'MODEL.DEVICE is {device!r}, but torch finds no CUDA device here: set it to "cpu".'
        )
    if place.index and place.index >= torch.cuda.device_count():
        raise UserError(
            f"MODEL.DEVICE is {device!r}, but torch finds {torch.cuda.device_count()} CUDA devices "
            "here, and counts them from 0."
        )


def check_parts(cfg: CfgNode) -> None:
    """Raise a UserError at a model, head or backbone that nobody registered."""
    _check_name(META_ARCH_REGISTRY, cfg.MODEL.META_ARCHITECTURE, "MODEL.META_ARCHITECTURE")
    _check_name(BACKBONE_REGISTRY, cfg.MODEL.BACKBONE.NAME, "MODEL.BACKBONE.NAME")
    # Where a model takes heads by name, it says from where; "" leaves the choice to it.
    heads = getattr(architecture(cfg), "head_registry", None)
    if heads is not None and cfg.MODEL.SOLO.HEAD:
        _check_name(heads, cfg.MODEL.SOLO.HEAD, "MODEL.SOLO.HEAD")
    node = cfg.MODEL.SOLO
    for key, value, default in (
        ("FREEZE", node.FREEZE, Freeze.NONE),
        ("ASSIGNMENT", node.ASSIGNMENT, Assignment.GRID),
        ("LOSS.CATEGORY", node.LOSS.CATEGORY, CategoryLoss.FOCAL),
        ("QUALITY.ENABLED", node.QUALITY.ENABLED, False),
    ):
        if value != default:
            check_is_solo(cfg, f"MODEL.SOLO.{key} {value}")


def check_evaluated(cfg: CfgNode) -> None:
    """Raise a UserError at an AP that the model is not evaluated by."""
    if cfg.TEST.BOUNDARY_AP and not predicts_masks(cfg):
        raise UserError(
            f"TEST.BOUNDARY_AP is of masks, and {cfg.MODEL.META_ARCHITECTURE} finds boxes alone: set it to False."
        )
    metric, tasks = cfg.TEST.BEST_METRIC, tasks_of(cfg)
    if metric and metric.partition("/")[0] not in tasks:
        raise UserError(
            f"TEST.BEST_METRIC is {metric!r}, but the model is evaluated by {' and '.join(tasks)}: choose one of these"
            f"{', or set TEST.BOUNDARY_AP True' * predicts_masks(cfg)}."
        )


def check_solver(cfg: CfgNode) -> None:
    """Raise a UserError at a SOLVER that trains nothing."""
    for key in ("MAX_ITER", "IMS_PER_BATCH", "ACCUMULATE", "CHECKPOINT_PERIOD"):
        if cfg.SOLVER[key] < 1:
            raise UserError(f"SOLVER.{key} is {cfg.SOLVER[key]}; it has to be 1 at least.")
    ranks = cfg.MODEL.SOLO.LOSS.CATEGORY == CategoryLoss.RANK_SORT
    if ranks and node_name(cfg) == "SOLO" and cfg.SOLVER.ACCUMULATE > 1:
        raise UserError(
            f"SOLVER.ACCUMULATE is {cfg.SOLVER.ACCUMULATE}, but MODEL.SOLO.LOSS.CATEGORY 'rank_sort' compares all "
            "cells of a step with each other: set ACCUMULATE to 1, or another CATEGORY."
        )
    if cfg.SOLVER.KEEP_CHECKPOINTS < 0:
        raise UserError(f"SOLVER.KEEP_CHECKPOINTS is {cfg.SOLVER.KEEP_CHECKPOINTS}; 0 keeps all.")
    test = cfg.TEST
    if test.PATIENCE < 0 or test.MIN_GAIN < 0:
        raise UserError(
            f"TEST.PATIENCE is {test.PATIENCE} and TEST.MIN_GAIN {test.MIN_GAIN}: neither is below 0."
        )
    if test.PATIENCE and not (cfg.DATASETS.TEST and (test.EVAL_PERIOD > 0 or cfg.SOLVER.EPOCHS)):
        raise UserError(
            f"TEST.PATIENCE is {test.PATIENCE}, but nothing is evaluated before the end: set DATASETS.TEST "
            "and TEST.EVAL_PERIOD, or TEST.PATIENCE 0."
        )
    if not 0 <= cfg.SOLVER.EMA.DECAY < 1:
        raise UserError(
            f"SOLVER.EMA.DECAY is {cfg.SOLVER.EMA.DECAY}; give a number below 1, as 0.9998."
        )


def check_batch_size(cfg: CfgNode, workers: int) -> None:
    """Raise a UserError at a batch that so many workers, which `cfg` is scaled to, cannot share."""
    images, parts = cfg.SOLVER.IMS_PER_BATCH, cfg.SOLVER.ACCUMULATE
    if images < 1 or images % workers:
        raise UserError(
            f"SOLVER.IMS_PER_BATCH is {images}, which {workers} workers cannot share evenly: set it to a "
            f"multiple of {workers}."
        )
    if parts < 1 or images // workers % parts:
        raise UserError(
            f"SOLVER.ACCUMULATE is {parts}, but the {images // workers} images of a step, of each of {workers} "
            f"workers, cannot be taken in as many equal parts: set it to a divisor of {images // workers}."
        )


def _check_name(registry: Registry, name: str, key: str) -> None:
    if name not in registry:
        known = ", ".join(sorted(known for known, _ in registry))
        raise UserError(
            f"{key} is {name!r}; use one of {known}. One of your own needs --import MODULE."
        )
