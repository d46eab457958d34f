"""Mixed precision: float16 on a GPU, bfloat16 on a CPU that computes with it."""

import logging
import platform

import torch
from detectron2.config import CfgNode

logger = logging.getLogger(__name__)


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """Return the type that SOLVER.AMP.ENABLED and TEST.AMP.ENABLED stand for on a device.

    Args:
        device: Where the model lives.

    Returns:
        float16 on a GPU. On a CPU bfloat16, whose range needs no scaling of the loss; None, with a
        warning, where the CPU would only emulate it, which is slower than float32.
    """
    if device.type == "cuda":
        return torch.float16
    if _computes_in_bfloat16():
        return torch.bfloat16
    logger.warning("This CPU does not compute in bfloat16: AMP.ENABLED has no effect.")
    return None


def loss_scaler(device: torch.device, dtype: torch.dtype | None) -> torch.amp.GradScaler:
    """Return what keeps the gradients of float16 from vanishing; for another type it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)


def inference_precision(cfg: CfgNode) -> torch.autocast:
    """Return the context that TEST.AMP.ENABLED asks for."""
    device = torch.device(cfg.MODEL.DEVICE)
    dtype = amp_dtype(device) if cfg.TEST.AMP.ENABLED else None
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def _computes_in_bfloat16() -> bool:
    """Tell whether the CPU has instructions for it; oneDNN takes it on more CPUs, and emulates."""
    if not torch.backends.mkldnn.is_available():
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, bool)() for name in names)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
