"""Reading and writing checkpoints."""

from solo.checkpoint.checkpointer import SOLOCheckpointer
from solo.checkpoint.files import copy_without, read_checkpoint, write_checkpoint
from solo.checkpoint.lineages import Lineage, recognise, to_mmdet, to_solo

__all__ = [
    "Lineage",
    "SOLOCheckpointer",
    "copy_without",
    "read_checkpoint",
    "recognise",
    "to_mmdet",
    "to_solo",
    "write_checkpoint",
]
