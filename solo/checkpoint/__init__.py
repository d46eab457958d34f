"""Reading and writing checkpoints."""

from solo.checkpoint.checkpointer import SOLOCheckpointer
from solo.checkpoint.lineages import Lineage, recognise, to_mmdet, to_solo
from solo.checkpoint.misfits import MisfitError
from solo.checkpoint.storage import read_checkpoint, write_checkpoint
from solo.checkpoint.timm_weights import TimmHandler
from solo.checkpoint.zoo_addresses import SoloHandler

__all__ = [
    "Lineage",
    "MisfitError",
    "SOLOCheckpointer",
    "SoloHandler",
    "TimmHandler",
    "read_checkpoint",
    "recognise",
    "to_mmdet",
    "to_solo",
    "write_checkpoint",
]
