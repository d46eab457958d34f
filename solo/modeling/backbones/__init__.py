"""Networks below the pyramid that detectron2 does not have. Importing it registers them."""

from solo.modeling.backbones.from_timm import build_timm_backbone, build_timm_fpn_backbone

__all__ = ["build_timm_backbone", "build_timm_fpn_backbone"]
