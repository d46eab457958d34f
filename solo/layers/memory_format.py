"""How weights and features lie in memory: what a config asks for, or what suits the device."""

import torch
from detectron2.config import CfgNode

from solo.config.choices import MemoryFormat, choose
from solo.layers import cpu


def memory_format(cfg: CfgNode, *, training: bool) -> torch.memory_format:
    """Return the format of a model.

    Args:
        cfg: With MODEL.MEMORY_FORMAT; where that is "auto", MODEL.DEVICE and the precision decide.
        training: Whether it is to be trained, too: on some CPUs gradients want another format.

    Raises:
        UserError: If the key has none of its words.
    """
    choice = choose(MemoryFormat, cfg.MODEL.MEMORY_FORMAT, "MODEL.MEMORY_FORMAT")
    if choice is not MemoryFormat.AUTO:
        is_last = choice is MemoryFormat.CHANNELS_LAST
    elif cfg.MODEL.DEVICE == "cpu":
        is_last = cpu.prefers_channels_last(training=training)
    else:
        is_last = cfg.SOLVER.AMP.ENABLED or cfg.TEST.AMP.ENABLED
    return torch.channels_last if is_last else torch.contiguous_format
