"""The most memory that this process has taken so far."""

import sys

import torch


def peak_memory() -> float | None:
    """Return the bytes of its tensors on GPUs, if it has any there, else of the machine's memory; None: not known."""
    if torch.cuda.is_initialized():
        devices = range(torch.cuda.device_count())
        if on_gpus := sum(torch.cuda.max_memory_allocated(device) for device in devices):
            return on_gpus
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1.0 if sys.platform == "darwin" else 1024.0)
