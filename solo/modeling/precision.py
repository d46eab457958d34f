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


def device_name(device: torch.device) -> str:
    """Return what the maker calls a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu.name()


def training_precision(cfg: CfgNode) -> tuple[torch.autocast, torch.amp.GradScaler]:
    """Return the context of the forward pass that SOLVER.AMP.ENABLED asks for, and what scales the loss.

    The scaler keeps the gradients of float16 from vanishing; for other types it does nothing.
    """
    device, dtype = _device_and_dtype(cfg, enabled=cfg.SOLVER.AMP.ENABLED)
    scaler = torch.amp.GradScaler(device, enabled=dtype is torch.float16)
    return torch.autocast(device, dtype=dtype, enabled=dtype is not None), scaler


def inference_precision(cfg: CfgNode) -> torch.autocast:
    """Return the context that TEST.AMP.ENABLED asks for."""
    device, dtype = _device_and_dtype(cfg, enabled=cfg.TEST.AMP.ENABLED)
    return torch.autocast(device, dtype=dtype, enabled=dtype is not None)


def _device_and_dtype(cfg: CfgNode, *, enabled: bool) -> tuple[str, torch.dtype | None]:
    device = torch.device(cfg.MODEL.DEVICE)
    return device.type, amp_dtype(device, cfg.MODEL.CPU.BFLOAT16) if enabled else None
