"""Backbones of timm by name: MODEL.TIMM. timm is imported when one is built.

Nothing is fetched here: MODEL.TIMM.PRETRAINED is loaded where a training begins, as MODEL.WEIGHTS is.
"""

import difflib
import inspect
import math
from collections.abc import Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN
from detectron2.modeling.backbone.fpn import LastLevelMaxPool

from solo.errors import MissingPackageError, UserError, shortened
from solo.modeling.backbones.timm_backbone import TimmBackbone, TimmName
from solo.modeling.necks.neck_base import pyramid_features

# Of the features that a pyramid is made of.
_STRIDES = (4, 8, 16, 32)
# Keywords by which models of one image size, as Swin and ViT, take all. By the last, windows are shifted in the
# last stage, too, which at 224 pixels has only one.
_ANY_SIZE = {"strict_img_size": False, "dynamic_img_size": True, "always_partition": True}


@BACKBONE_REGISTRY.register()
def build_timm_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> TimmBackbone:
    """Build the features of the model of timm that MODEL.TIMM.NAME says, without weights.

    Args:
        cfg: The config.
        input_shape: Of the images: `channels`.

    Raises:
        MissingPackageError: If timm is not installed.
        UserError: If timm has no such model, or that one has not what MODEL.TIMM asks of it.
    """
    node, timm = cfg.MODEL.TIMM, _import_timm()
    _check_name(timm, node.NAME)
    # Without memory: what the model tells of itself, and takes.
    with torch.device("meta"):
        plan = timm.create_model(node.NAME)
    takes = inspect.signature(type(plan).__init__).parameters
    indices = _out_indices(plan, node)
    options: dict[str, Any] = {key: _ANY_SIZE[key] for key in _ANY_SIZE if key in takes}
    if "drop_path_rate" in takes:
        options["drop_path_rate"] = node.DROP_PATH
    elif node.DROP_PATH:
        raise UserError(f"MODEL.TIMM.DROP_PATH: {node.NAME} drops no paths; set it to 0.")
    body = timm.create_model(node.NAME, in_chans=input_shape.channels or 3, **options)
    backbone = TimmBackbone(
        body,
        indices,
        name=TimmName(
            name=node.NAME,
            tensors=tuple(plan.state_dict()),
            mean=tuple(plan.pretrained_cfg["mean"]),
            std=tuple(plan.pretrained_cfg["std"]),
        ),
        freeze_at=node.FREEZE_AT,
        freeze_norm=node.FREEZE_NORM,
        windowed="strict_img_size" in takes,
    )
    if node.OUT_NORM:
        backbone.normalise(timm.layers.LayerNorm2d)
    return backbone


@BACKBONE_REGISTRY.register()
def build_timm_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Build a model of timm with detectron2's feature pyramid; see :func:`build_timm_backbone`.

    MODEL.FPN.IN_FEATURES are res2, res3, ... by their strides 4, 8, ...; empty: all that there are.
    """
    bottom_up = build_timm_backbone(cfg, input_shape)
    return FPN(
        bottom_up=bottom_up,
        in_features=pyramid_features(cfg, bottom_up),
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=LastLevelMaxPool(),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )


def _import_timm() -> ModuleType:
    try:
        import timm
    except ImportError as error:
        raise MissingPackageError(
            f"A backbone of timm needs timm, which cannot be used here ({error}): pip install timm."
        ) from error
    return timm


def _check_name(timm: Any, name: str) -> None:
    """Raise a UserError at a name that timm does not know; it says what may be meant."""
    if not name:
        raise UserError("MODEL.TIMM.NAME is empty: name a model of timm, as res2net50_26w_4s.in1k.")
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), cutoff=0.5)
        meant = f"; did you mean {' or '.join(near)}?" if near else "."
        raise UserError(f"MODEL.TIMM.NAME: timm has no model {shortened(name)}{meant}")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        known = f"those are {', '.join(tags)}" if tags else "there are none"
        raise UserError(
            f"MODEL.TIMM.NAME: timm has no weights {shortened(tag)} of {architecture}; {known}."
        )


def _out_indices(plan: Any, node: CfgNode) -> Sequence[int]:
    """Return which features are given out: those of MODEL.TIMM.OUT_INDICES, else the last of each stride.

    Raises:
        UserError: If the model has no such features, or two of one stride are asked for.
    """
    if not all(hasattr(plan, way) for way in ("feature_info", "forward_intermediates")):
        raise UserError(f"MODEL.TIMM.NAME: {node.NAME} of timm gives no features; take another.")
    strides = [one["reduction"] for one in plan.feature_info]
    last = {stride: index for index, stride in enumerate(strides)}
    indices = list(node.OUT_INDICES) or [last[stride] for stride in _STRIDES if stride in last]
    if not all(0 <= index < len(strides) for index in indices):
        raise UserError(
            f"MODEL.TIMM.OUT_INDICES are {indices}, and {node.NAME} has {len(strides)} features, counted from 0."
        )
    chosen = [strides[index] for index in indices]
    rises = all(before < after for before, after in pairwise(chosen))
    if not chosen or not rises or not all(math.log2(stride).is_integer() for stride in chosen):
        raise UserError(
            f"MODEL.TIMM: the features of {node.NAME} have the strides {strides}; a pyramid takes one of each, "
            "powers of two in ascending order: set OUT_INDICES to such, or take another model."
        )
    return indices
