"""What the heads share beyond their base: the prior, their config keys, putting levels together."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from torch import Tensor

from solo.errors import UserError
from solo.layers.conv import Deform
from solo.layers.transfer import to_device


def prior_bias(probability: float) -> float:
    """Return the logit of a probability: the bias that makes an untrained predictor say it."""
    return -math.log((1 - probability) / probability)


def level_arguments(
    cfg: CfgNode, input_shape: dict[str, ShapeSpec], more_features: Sequence[str] = ()
) -> dict[str, Any]:
    """Read the arguments that all heads take from MODEL.SOLO.

    Args:
        cfg: The config.
        input_shape: What the backbone makes.
        more_features: Features that the head takes beyond those of the levels.

    Raises:
        UserError: If a feature is not among those the backbone makes, they differ in channels, a
            range of scales is no pair, or the number of classes is not known.
    """
    node = cfg.MODEL.SOLO
    wanted = {*node.IN_FEATURES, *more_features}
    if unknown := sorted(wanted - set(input_shape)):
        raise UserError(
            f"MODEL.SOLO asks for the features {unknown}; the backbone makes {sorted(input_shape)}."
        )
    channels = {input_shape[name].channels for name in wanted}
    if len(channels) > 1:
        raise UserError(f"The features {sorted(wanted)} have {sorted(channels)} channels, not one.")
    if any(len(scales) != 2 for scales in node.SCALE_RANGES):
        raise UserError(
            f"MODEL.SOLO.SCALE_RANGES is {node.SCALE_RANGES}; give [low, high] in pixels per level."
        )
    if node.NUM_CLASSES < 1:
        raise UserError(
            "MODEL.SOLO.NUM_CLASSES is 0: set it, or let solo.data.resolve_num_classes(cfg) take it "
            "from the data set."
        )
    return {
        "in_channels": channels.pop(),
        "num_classes": node.NUM_CLASSES,
        "num_convs": node.NUM_CONVS,
        "conv_dim": node.CONV_DIM,
        "norm": node.NORM,
        "prior_prob": node.PRIOR_PROB,
        "deform": Deform(node.DEFORM_CONVS, node.DEFORM_MODULATED),
        "recompute": node.RECOMPUTE,
        "in_features": node.IN_FEATURES,
        "in_strides": [input_shape[name].stride for name in node.IN_FEATURES],
        "strides": node.STRIDES,
        "num_grids": node.NUM_GRIDS,
    }


def assemble_levels(
    parts: list[Tensor], positions: list[Tensor], size: tuple[int, int], device: torch.device
) -> Tensor:
    """Put the soft masks that were decoded level by level into the order they were asked for.

    Args:
        parts: Per level, (p, H, W).
        positions: Per level, (p,) where they belong, on the CPU.
        size: (H, W), for when there are none.
        device: Where the masks live.

    Returns:
        (P, H, W).
    """
    if not parts:
        return torch.zeros((0, *size), device=device)
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts)[to_device(torch.cat(positions).argsort(), device)]
