"""Evaluate a model on every data set of DATASETS.TEST."""

import logging
from collections import OrderedDict
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.evaluation import inference_on_dataset, print_csv_format
from detectron2.utils import comm
from torch import nn

from solo.data import build_test_loader
from solo.evaluation import build_evaluator
from solo.inference.fallback import WithCPUFallback
from solo.inference.tta import SOLOWithTTA
from solo.modeling.precision import inference_precision

logger = logging.getLogger(__name__)


def evaluate(cfg: CfgNode, model: nn.Module) -> OrderedDict[str, Any]:
    """Evaluate a model on every data set of DATASETS.TEST, and log the tables.

    Every process has to call it; each takes its share of the images.

    Args:
        cfg: The config.
        model: Not wrapped: a ``DistributedDataParallel`` would wait for processes that have fewer
            images.

    Returns:
        On the main process ``{task: {metric: value}}`` if there is one data set, and
        ``{data set: {task: {metric: value}}}`` if there are several; elsewhere empty.
    """
    results: OrderedDict[str, Any] = OrderedDict()
    for name in cfg.DATASETS.TEST:
        evaluator = build_evaluator(cfg, name, _output_dir(cfg, name))
        loader = build_test_loader(cfg, name)
        with inference_precision(cfg):
            result = inference_on_dataset(WithCPUFallback(model), loader, evaluator)
        if comm.is_main_process():
            logger.info("Evaluation results for %s:", name)
            print_csv_format(result)
            results[name] = result
    if len(results) == 1:
        return OrderedDict(next(iter(results.values())))
    return results


def evaluate_with_tta(cfg: CfgNode, model: nn.Module) -> OrderedDict[str, Any]:
    """Evaluate a model with test-time augmentation on every data set of DATASETS.TEST.

    Args:
        cfg: The config, with the views in TEST.AUG. Files go to the folder TTA of OUTPUT_DIR.
        model: See :func:`evaluate`.

    Returns:
        What that returns, under names that end with _TTA, as in detectron2.
    """
    cfg = cfg.clone()
    cfg.defrost()
    # Views are resized from the image itself, not from what a test without them would see.
    cfg.INPUT.MIN_SIZE_TEST = 0
    cfg.OUTPUT_DIR = str(Path(cfg.OUTPUT_DIR, "TTA"))
    logger.info("Evaluating with test-time augmentation.")
    results = evaluate(cfg, SOLOWithTTA(cfg, model))
    return OrderedDict((f"{name}_TTA", result) for name, result in results.items())


def check_evaluation(cfg: CfgNode, model: nn.Module) -> None:
    """Raise now what :func:`evaluate` would raise later, about DATASETS.TEST or TEST.AUG.

    Args:
        cfg: The config.
        model: See :func:`evaluate`.

    Raises:
        OSError: If a file cannot be read.
        UserError: If a data set is unknown, or cannot be evaluated on, or the views make no sense.
    """
    if cfg.TEST.AUG.ENABLED:
        SOLOWithTTA(cfg, model)
    for name in cfg.DATASETS.TEST:
        build_test_loader(cfg, name)
        build_evaluator(cfg, name, _output_dir(cfg, name))


def _output_dir(cfg: CfgNode, name: str) -> str:
    return str(Path(cfg.OUTPUT_DIR, "inference", name))


def best_metric_name(cfg: CfgNode) -> str:
    """Return the name under which training records the mask AP that chooses the best checkpoint."""
    several = len(cfg.DATASETS.TEST) > 1
    return f"{cfg.DATASETS.TEST[0]}/segm/AP" if several else "segm/AP"
