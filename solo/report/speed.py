"""How long a model took for an image while it was examined, and how much memory the process had."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from detectron2.config import CfgNode

from solo.modeling.precision import amp_dtype, device_name
from solo.peak_memory import peak_memory
from solo.terminal import how_many

# The first images are slower: memory is fetched, kernels are chosen.
_WARM_UP = 5


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The time that a model takes for one image at a time, from pixels to instances.

    Attributes:
        milliseconds: The median.
        images: How many it is of.
        size: (H, W), the median of each.
        memory: The most that the process, or on a GPU its tensors, had at a time, in MB; None where the
            system does not tell.
    """

    milliseconds: float
    images: int
    size: tuple[int, int]
    memory: float | None


def speed_of(seconds: Sequence[float], sizes: Sequence[tuple[int, int]]) -> Speed | None:
    """Return the speed, without the first images; None where there are no others.

    Args:
        seconds: Of each image.
        sizes: (H, W) of each.
    """
    timed = seconds[_WARM_UP:]
    if not timed:
        return None
    height, width = (int(statistics.median(side)) for side in zip(*sizes[_WARM_UP:], strict=True))
    peak = peak_memory()
    return Speed(
        milliseconds=1000 * statistics.median(timed),
        images=len(timed),
        size=(height, width),
        memory=None if peak is None else peak / 1e6,
    )


def machine(cfg: CfgNode) -> str:
    """Describe what the model of a config is run on, and in which precision."""
    device = torch.device(cfg.MODEL.DEVICE)
    dtype = amp_dtype(device, cfg.MODEL.CPU.BFLOAT16) if cfg.TEST.AMP.ENABLED else None
    threads = f" with {how_many(torch.get_num_threads(), 'thread')}" * (device.type != "cuda")
    return f"{device_name(device)}{threads}, {str(dtype or torch.float32).removeprefix('torch.')}"
