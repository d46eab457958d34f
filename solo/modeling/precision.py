"""Mixed precision: float16 on a GPU, bfloat16 on a CPU that computes with it."""

import logging

import torch
from detectron2.config import CfgNode

from solo.config.choices import BFloat16
from solo.layers import cpu

logger = logging.getLogger(__name__)


def amp_dtype(device: torch.device, bfloat16: BFloat16 = BFloat16.AUTO) -> torch.dtype | None:
    """Return the type that SOLVER.AMP.ENABLED and TEST.AMP.ENABLED stand for on a device.

    Args:
        device: Where the model lives.
        bfloat16: MODEL.CPU.BFLOAT16.

    Returns:
        float16 on a GPU. On a CPU bfloat16, whose range needs no scaling of the loss; None, with a
        warning, where the CPU would only emulate it, which is slower than float32.

    Raises:
        UserError: If `bfloat16` is none of its words.
    """
    if device.type == "cuda":
        return torch.float16
    if cpu.computes_in_bfloat16(bfloat16):
        return torch.bfloat16
    logger.warning(
        "AMP.ENABLED has no effect: this CPU does not compute in bfloat16, or MODEL.CPU.BFLOAT16 is off."
    )
    return None


def loss_scaler(device: torch.device, dtype: torch.dtype | None) -> torch.amp.GradScaler:
    """Return what keeps the gradients of float16 from vanishing; for another type it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)


def inference_precision(cfg: CfgNode) -> torch.autocast:
    """Return the context that TEST.AMP.ENABLED asks for."""
    device = torch.device(cfg.MODEL.DEVICE)
    dtype = amp_dtype(device, cfg.MODEL.CPU.BFLOAT16) if cfg.TEST.AMP.ENABLED else None
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)
