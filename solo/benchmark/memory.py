"""The most memory that something needs above what there was before it."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


def peak_memory(function: Callable[[], Any], device: torch.device) -> float | None:
    """Run a function and return the peak of its memory above the start.

    On a CUDA device that is what torch allocates there; else the resident memory of the process, after free
    pages were given back.

    Args:
        function: What to run.
        device: That it runs on.

    Returns:
        MB of a million bytes; None where the system does not tell (it does on Linux).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    known = reset_peak()
    start = _resident("VmRSS") if known else 0.0
    function()
    return max(_resident("VmHWM") - start, 0.0) if known else None


def reset_peak() -> bool:
    """Let the peak of resident memory start anew; return whether the system can."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return False  # not glibc
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return _STATUS.exists()


def _resident(field: str) -> float:
    """Return the resident memory of this process, "VmRSS", or its peak, "VmHWM", in MB."""
    (kilobytes,) = re.findall(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(kilobytes) * 1024 / 1e6
