"""What is measured: a model of any config, in training or at test."""

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from solo.architectures import check_is_solo
from solo.benchmark.sizes import Size
from solo.checkpoint import SOLOCheckpointer
from solo.config.validity import check_device
from solo.data import resolve_num_classes
from solo.errors import UserError
from solo.modeling.fuse import prepare_for_inference
from solo.modeling.meta_arch import SOLO


def load_model(cfg: CfgNode) -> SOLO:
    """Build the model of a config, and load MODEL.WEIGHTS if there are any.

    Raises:
        OSError: If the weights cannot be read.
        UserError: If they do not fit, the number of classes is not known, torch has no such device, or the
            stages of another model are asked for.
    """
    check_is_solo(cfg, "The benchmark of stages")
    check_device(cfg.MODEL.DEVICE)
    cfg = cfg.clone()
    resolve_num_classes(cfg)
    torch.manual_seed(0)
    model: SOLO = build_model(cfg)
    if cfg.MODEL.WEIGHTS:
        SOLOCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model


def load_for_inference(cfg: CfgNode) -> SOLO:
    """Build the model as `TorchBackend` does; weights may be missing. See :func:`load_model`."""
    model = load_model(cfg)
    prepare_for_inference(model, cfg)
    return model


def with_rle(cfg: CfgNode) -> CfgNode:
    """Return a copy of a config whose masks are encoded, and whose images this process reads."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.SOLO.TEST.MASK_FORMAT = "rle"
    cfg.DATALOADER.NUM_WORKERS = 0
    return cfg


def check_positive(**numbers: int | Size) -> None:
    """Raise UserError if there is nothing to do, or an image without a pixel."""
    for name, value in numbers.items():
        if min(value if isinstance(value, tuple) else (value,)) < 1:
            raise UserError(f"{name} {value} is too small: give 1 or more.")
