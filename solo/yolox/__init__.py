"""YOLOX, a detector of boxes beside SOLO.

What is registered here imports the rest only when it is built: `import solo` does not wait for it.
"""

from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, META_ARCH_REGISTRY, Backbone
from torch import nn


@META_ARCH_REGISTRY.register()
def YOLOX(cfg: CfgNode) -> nn.Module:  # noqa: N802  (the name of the meta-architecture)
    """Build `solo.yolox.meta_arch.YOLOX`."""
    from solo.yolox.meta_arch import YOLOX

    return YOLOX(cfg)


@BACKBONE_REGISTRY.register()
def build_cspdarknet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """Build `solo.yolox.backbone.CSPDarknet` of the size that MODEL.YOLOX says."""
    from solo.yolox.backbone import CSPDarknet

    return CSPDarknet.from_config(cfg, input_shape)
