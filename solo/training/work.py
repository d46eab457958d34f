"""How much a step of training computes, counted without computing it."""

import logging
from statistics import median

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch.utils.flop_counter import FlopCounterMode

from solo.architectures import class_node
from solo.config.load import load_config

logger = logging.getLogger(__name__)

LIGHT = "coco/solov2_light_448_R_50_FPN_3x"
# Width over height of a photo; and what sizes are rounded up to, as the levels of a pyramid ask.
_ASPECT, _MULTIPLE = 4 / 3, 32


def step_work(cfg: CfgNode) -> float:
    """Count the multiplications and additions of backbone and head, forward and backward, for one image.

    Nothing is allocated or computed: tensors have shapes only. Losses and the optimizer are left out, and
    so are deformable convolutions.

    Args:
        cfg: The config, whose median INPUT.MIN_SIZE_TRAIN an image has, as a photo of 4 : 3.
    """
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.DEVICE = "meta"
    height = median(cfg.INPUT.MIN_SIZE_TRAIN)
    width = min(height * _ASPECT, cfg.INPUT.MAX_SIZE_TRAIN)
    sides = [-int(-side // _MULTIPLE) * _MULTIPLE for side in (height, width)]
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        model = build_model(cfg).train()
        image = torch.empty(1, 3, *sides)
    with FlopCounterMode(display=False) as counter:
        outputs = model.head(model.backbone(image))
        torch.stack([part.sum() for part in _tensors(outputs)]).sum().backward()
    return float(counter.get_total_flops())


def light_share(cfg: CfgNode) -> float | None:
    """Return what a step of `LIGHT` computes for an image as a share of what one of this config does.

    None: this model cannot be counted, as one of others may compute what tensors without values cannot.
    """
    light = load_config(LIGHT, ["MODEL.WEIGHTS", ""], device="cpu", needs_classes=False)
    light.defrost()
    light.MODEL.SOLO.NUM_CLASSES = class_node(cfg).NUM_CLASSES
    try:
        return step_work(light) / step_work(cfg)
    except Exception as error:  # whatever it is: an estimate is no reason to stop a training
        logger.info("The work of a step cannot be counted: %s", error)
        return None


def _tensors(outputs: object) -> list[torch.Tensor]:
    """Return the tensors in whatever a head returns."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, (list, tuple)):
        return [tensor for part in outputs for tensor in _tensors(part)]
    return _tensors(list(vars(outputs).values())) if hasattr(outputs, "__dict__") else []
