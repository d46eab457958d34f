"""The branch networks, by name in SOLO_HEAD_REGISTRY."""

from solo.modeling.heads.base import SOLO_HEAD_REGISTRY, Head, HeadOutputs
from solo.modeling.heads.decoupled import DecoupledSOLOHead, DecoupledSOLOLightHead
from solo.modeling.heads.head_config import HeadConfig
from solo.modeling.heads.solo import SOLOHead
from solo.modeling.heads.solov2 import SOLOv2Head

__all__ = [
    "SOLO_HEAD_REGISTRY",
    "DecoupledSOLOHead",
    "DecoupledSOLOLightHead",
    "Head",
    "HeadConfig",
    "HeadOutputs",
    "SOLOHead",
    "SOLOv2Head",
]
