"""Reading and writing checkpoints."""

from solo.checkpoint.checkpointer import SOLOCheckpointer
from solo.checkpoint.files import copy_without, read_checkpoint, write_checkpoint

__all__ = ["SOLOCheckpointer", "copy_without", "read_checkpoint", "write_checkpoint"]
