"""THE way to a config that is complete and frozen; mistakes are named before any work starts.

`model_zoo.get_config` gives a plain one to change, as detectron2's does: unfrozen, and not looked at.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode

from solo.architectures import class_node
from solo.config import get_cfg
from solo.config.merge import merge_file, merge_options
from solo.config.starting_weights import starting_weights
from solo.config.validity import check_config
from solo.data import resolve_num_classes
from solo.data.formats import register_coco_json

logger = logging.getLogger(__name__)


def load_config(
    file: str | Path = "",
    options: Sequence[str] = (),
    *,
    device: str = "",
    weights: str | Path | None = None,
    dataset: str = "",
    gpus: bool = True,
    needs_classes: bool = True,
) -> CfgNode:
    """Return the config that a file and options make, with all that they leave open.

    Args:
        file: A yaml file. Empty: the defaults.
        options: KEY VALUE KEY VALUE ..., laid over the file.
        device: "cpu", "cuda" or "cuda:1". Empty: MODEL.DEVICE, and cpu where that GPU is missing.
        weights: The checkpoint of a trained model. Empty: MODEL.WEIGHTS of `options`. MODEL.WEIGHTS
            and MODEL.DEVICE of the file are not used then: they are what training starts from, as a
            rule a backbone without a head, and where. None: nothing is trained yet.
        dataset: Registered name, in place of DATASETS.TRAIN and TEST. It says how many classes
            there are, too.
        gpus: Whether a GPU that is there may be used; if not, MODEL.DEVICE becomes cpu in its place.
        needs_classes: Whether NUM_CLASSES 0 of the model becomes the number of the data sets.

    Returns:
        The config, frozen. Entries of DATASETS.COCO_JSON are registered.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If a key is unknown, a value of a wrong type, or what is asked for is not there.
    """
    cfg = get_cfg()
    merge_file(cfg, file)
    if weights is not None:
        cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE = "", "cuda" if torch.cuda.is_available() else "cpu"
    merge_options(cfg, options)
    known = cfg.MODEL.WEIGHTS if weights is not None else starting_weights(cfg)
    cfg.MODEL.WEIGHTS = os.path.expanduser(weights or known)  # in a yaml no shell does
    if dataset:
        cfg.DATASETS.TRAIN, cfg.DATASETS.TEST, class_node(cfg).NUM_CLASSES = (dataset,), (), 0
    if device:
        cfg.MODEL.DEVICE = device
    elif weights is None:
        _leave_gpu(cfg, allowed=gpus)
    check_config(cfg)
    register_coco_json(cfg)
    if needs_classes:
        resolve_num_classes(cfg)
    cfg.freeze()
    return cfg


def inference_config(
    config_file: str | Path, weights: str = "", device: str = "", opts: Sequence[str] = ()
) -> CfgNode:
    """Return the config to run a trained model with, whose checkpoint may know its classes.

    See :func:`load_config`; an empty `device` is cuda where there is one, else cpu, and
    NUM_CLASSES of the model may be 0 still.
    """
    return load_config(config_file, opts, device=device, weights=weights, needs_classes=False)


def _leave_gpu(cfg: CfgNode, *, allowed: bool) -> None:
    """Turn to the CPU where a GPU is missing, or not wanted."""
    if not cfg.MODEL.DEVICE.startswith("cuda") or (allowed and torch.cuda.is_available()):
        return
    if allowed:
        # Before any log is set up: a warning is seen nevertheless.
        logger.warning("No GPU was found: MODEL.DEVICE is cpu now, and everything runs there.")
    cfg.MODEL.DEVICE = "cpu"
