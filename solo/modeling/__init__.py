"""The models. Importing it registers the meta-architectures and backbones with detectron2."""

from solo.modeling import backbones
from solo.modeling.meta_arch import SOLO, SOLOv2

__all__ = ["SOLO", "SOLOv2", "backbones"]
