"""The models. Importing it registers the meta-architectures with detectron2."""

from solo.modeling.meta_arch import SOLO, SOLOv2

__all__ = ["SOLO", "SOLOv2"]
