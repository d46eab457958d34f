"""Outputs of a head, made up with objects in them.

Legend: K classes, S cells per side, C, E channels of a feature, h, w its size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from solo.benchmark.synthetic import depth, draw_boxes
from solo.errors import UserError

# Logit of a cell and class that is not there, and the range of those that are.
_ABSENT, _PRESENT = -10.0, (-1.5, 3.0)


def category_logits(
    sides: Sequence[int], num_classes: int, candidates: int, seed: int = 0
) -> list[Tensor]:
    """Make category logits of which exactly so many survive points NMS, well above the threshold.

    Args:
        sides: Cells per side, S, per level.
        num_classes: K.
        candidates: How many (cell, class) are candidates.
        seed: Of the random numbers.

    Returns:
        Per level (1, K, S, S).

    Raises:
        UserError: If there is no room for so many.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = [torch.full((1, num_classes, side, side), _ABSENT) for side in sides]
    # Points NMS compares neighbours: of every second row and column none has one.
    spots = [level[:, :, ::2, ::2] for level in logits]
    room = sum(level.numel() for level in spots)
    if not 0 <= candidates <= room:
        raise UserError(f"{candidates} candidates: this head has room for 0 to {room}.")
    chosen = torch.randperm(room, generator=generator)[:candidates]
    flat = torch.full((room,), _ABSENT)
    flat[chosen] = torch.empty(candidates).uniform_(*_PRESENT, generator=generator)
    for level, part in zip(spots, flat.split([level.numel() for level in spots]), strict=True):
        level.copy_(part.view(level.shape))
    return logits


def object_features(
    channels: int, size: tuple[int, int], stride: int, *, filling: bool = False
) -> Tensor:
    """Make a feature with an object in each channel: 1 in its middle, 0 at its edge, -1 outside.

    Args:
        channels: E.
        size: (h, w) of the feature.
        stride: Of the feature.
        filling: Whether the objects fill the image instead of being of ordinary sizes.

    Returns:
        (E, h, w).
    """
    # Outside it is as flat as it is steep inside: small deviations of a kernel move edges only.
    return depth(_feature_boxes(channels, size, stride, filling), size).clamp_(min=-1)


def profiles(channels: int, size: tuple[int, int], stride: int, *, filling: bool = False) -> Tensor:
    """Make a feature with the columns of objects in half of the channels, and rows in the others.

    Args:
        channels: C.
        size: (h, w) of the feature.
        stride: Of the feature.
        filling: Whether the objects fill the image.

    Returns:
        (C, h, w).
    """
    boxes = _feature_boxes(channels, size, stride, filling)
    columns, rows = boxes.clone(), boxes
    # Without end in the other direction.
    columns[:, 1], columns[:, 3] = -1e6, 1e6
    rows[:, 0], rows[:, 2] = -1e6, 1e6
    half = channels // 2
    return torch.cat([depth(columns[:half], size), depth(rows[half:], size)]).clamp_(min=-1)


def picks(count: int, choice: Sequence[int], channels: int, *, seed: int = 0) -> Tensor:
    """Make kernels, each of which picks one channel; so several cells find the same object.

    Args:
        count: How many.
        choice: Channels to pick from.
        channels: Of the feature.
        seed: Of the random numbers.

    Returns:
        (count, channels), for logits; a little of all other channels makes the masks differ.
    """
    generator = torch.Generator().manual_seed(seed)
    kernels = 0.05 * torch.randn(count, channels, generator=generator) / channels**0.5
    picked = torch.tensor(choice)[torch.randint(len(choice), (count,), generator=generator)]
    kernels.scatter_(1, picked[:, None], 1.0)
    return 8 * kernels


def _feature_boxes(count: int, size: tuple[int, int], stride: int, filling: bool) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    image = (size[0] * stride, size[1] * stride)
    return draw_boxes(count, image, generator, filling=filling) / stride
