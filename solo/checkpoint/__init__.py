"""Reading and writing checkpoints."""

from solo.checkpoint.checkpointer import MisfitError, SOLOCheckpointer
from solo.checkpoint.lineages import Lineage, recognise, to_mmdet, to_solo
from solo.checkpoint.storage import read_checkpoint, write_checkpoint

__all__ = [
    "Lineage",
    "MisfitError",
    "SOLOCheckpointer",
    "read_checkpoint",
    "recognise",
    "to_mmdet",
    "to_solo",
    "write_checkpoint",
]
