"""Copies between the CPU, which decides what is computed, and the device, which computes.

A copy to the CPU waits until the device has done all that it was given before; a copy to the device need not wait.
So what is small and decides, such as the numbers of cells, is kept on the CPU.
"""

import torch
from torch import Tensor


def to_host(tensor: Tensor) -> Tensor:
    """Copy a tensor to the CPU, which waits for the device; one that is there is returned itself."""
    return tensor.cpu()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device without waiting; one that is there is returned itself."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        # A GPU reads nothing else by itself.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
