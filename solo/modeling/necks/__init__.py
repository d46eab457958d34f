"""Necks by MODEL.NECK: what makes levels p2, p3, ... of a network's features, for every backbone."""

from collections.abc import Callable
from functools import partial

from detectron2.config import CfgNode
from detectron2.modeling import Backbone
from detectron2.modeling import build_backbone as build_as_registered

from solo.config.choices import NeckName, choose
from solo.errors import UserError
from solo.layers.deform_conv import torchvision_deform_convs
from solo.layers.frozen_conv import fold_frozen_norms
from solo.modeling.necks.bifpn import BiFPN
from solo.modeling.necks.neck_base import Neck, pyramid_features
from solo.modeling.necks.pyramids import PAFPN, TopDown

__all__ = ["PAFPN", "BiFPN", "Neck", "TopDown", "build_backbone"]


def build_backbone(cfg: CfgNode) -> Backbone:
    """Build MODEL.BACKBONE.NAME, with the neck of MODEL.NECK, and deformable convolutions that run anywhere.

    Raises:
        UserError: If there is no such neck, or it cannot stand on this backbone.
    """
    with torchvision_deform_convs():
        backbone = with_neck(cfg, build_as_registered(cfg))
    fold_frozen_norms(backbone)
    return backbone


def with_neck(cfg: CfgNode, backbone: Backbone) -> Backbone:
    """Put the neck that MODEL.NECK asks for in place of the one that a backbone was built with.

    Args:
        cfg: MODEL.NECK, and MODEL.FPN: IN_FEATURES, OUT_CHANNELS, NORM.
        backbone: With or without a feature pyramid.

    Returns:
        The backbone itself where nothing is asked for.

    Raises:
        UserError: If there is no such neck, or it cannot stand on this backbone.
    """
    node = cfg.MODEL.NECK
    if not node.NAME and not node.SPP:
        return backbone
    if node.REPEATS < 1:
        raise UserError(f"MODEL.NECK.REPEATS is {node.REPEATS}; give 1 or more.")
    kinds: dict[NeckName, Callable[..., Neck]] = {
        NeckName.FPN: TopDown,
        NeckName.PAFPN: PAFPN,
        NeckName.BIFPN: partial(BiFPN, repeats=node.REPEATS),
    }
    bottom_up = getattr(backbone, "bottom_up", backbone)
    return kinds[choose(NeckName, node.NAME or NeckName.FPN, "MODEL.NECK.NAME")](
        bottom_up,
        pyramid_features(cfg, bottom_up),
        channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        spp=node.SPP,
    )
