"""Inputs made up for measuring: ellipses in images, and outputs of a head with objects in them.

Legend: N images, M objects, K classes, C cells, E channels of the mask feature, H, W image size, h, w
size of the mask feature.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from detectron2.structures import BitMasks, Boxes, Instances
from torch import Tensor

from solo.errors import UserError

# Width and height of objects, in pixels of the network's input: e ** 3.5 = 33 to e ** 5.8 = 330.
_LOG_SIZES = (3.5, 5.8)
# Logit of a cell and class that is not there, and the range of those that are.
_ABSENT, _PRESENT = -10.0, (-1.5, 3.0)


class Ellipses(NamedTuple):
    """Objects of an image.

    Attributes:
        boxes: (M, 4) XYXY in pixels.
        classes: (M,) int64.
        masks: (M, H, W) bool.
    """

    boxes: Tensor
    classes: Tensor
    masks: Tensor


def draw_boxes(
    count: int, size: tuple[int, int], generator: torch.Generator, *, filling: bool = False
) -> Tensor:
    """Draw boxes of ordinary sizes.

    Args:
        count: M.
        size: (H, W) of the image.
        generator: Of the random numbers.
        filling: Whether each covers at least 0.8 of both sides instead.

    Returns:
        (M, 4) float32 XYXY.
    """
    frame = torch.tensor([size[1], size[0]])
    if filling:
        extent = frame * torch.empty(count, 2).uniform_(0.8, 1, generator=generator)
    else:
        extent = torch.empty(count, 2).uniform_(*_LOG_SIZES, generator=generator).exp()
    low = torch.rand(count, 2, generator=generator) * (frame - extent).clamp(min=1)
    return torch.cat([low, torch.minimum(low + extent, frame)], dim=1)


def draw_ellipses(
    count: int, size: tuple[int, int], num_classes: int, generator: torch.Generator
) -> Ellipses:
    """Draw objects of ordinary sizes, which overlap.

    Args:
        count: M.
        size: (H, W) of the image.
        num_classes: K.
        generator: Of the random numbers.
    """
    boxes = draw_boxes(count, size, generator)
    classes = torch.randint(num_classes, (count,), generator=generator)
    return Ellipses(boxes, classes, _depth(boxes, size) > 0)


def training_batch(
    images: int, objects: int, size: tuple[int, int], num_classes: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Make what the mapper hands the model in training: noise, and ellipses as its objects.

    Args:
        images: N.
        objects: Per image, M.
        size: (H, W) in pixels.
        num_classes: K.
        seed: Of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    batch = []
    for _ in range(images):
        instances = Instances(size)
        boxes, classes, masks = draw_ellipses(objects, size, num_classes, generator)
        instances.gt_boxes, instances.gt_classes = Boxes(boxes), classes
        instances.gt_masks = BitMasks(masks)
        batch.append({"image": noise_image(size, generator), "instances": instances})
    return batch


def noise_image(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Return a (3, H, W) uint8 image of noise."""
    return torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8)


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
    return _depth(_feature_boxes(channels, size, stride, filling), size).clamp_(min=-1)


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
    return torch.cat([_depth(columns[:half], size), _depth(rows[half:], size)]).clamp_(min=-1)


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


def _depth(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return how deep in the ellipse of a box a pixel lies: 1 in the middle, 0 at its edge."""
    center, radius = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    x = (torch.arange(size[1]) - center[:, :1]) / radius[:, :1]
    y = (torch.arange(size[0]) - center[:, 1:]) / radius[:, 1:]
    return 1 - (x.square()[:, None, :] + y.square()[:, :, None])
