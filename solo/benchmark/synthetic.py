"""Inputs made up for measuring: images of noise, and ellipses as their objects.

Legend: N images, M objects, K classes, H, W image size.
"""

from typing import Any

import torch
from detectron2.structures import BitMasks, Boxes, Instances
from torch import Tensor

# Width and height of objects, in pixels of the network's input: e ** 3.5 = 33 to e ** 5.8 = 330.
_LOG_SIZES = (3.5, 5.8)


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
) -> Instances:
    """Draw objects of ordinary sizes, which overlap: gt_boxes, gt_classes and gt_masks.

    Args:
        count: M.
        size: (H, W) of the image.
        num_classes: K.
        generator: Of the random numbers.
    """
    boxes = draw_boxes(count, size, generator)
    objects = Instances(size)
    objects.gt_boxes = Boxes(boxes)
    objects.gt_classes = torch.randint(num_classes, (count,), generator=generator)
    objects.gt_masks = BitMasks(depth(boxes, size) > 0)
    return objects


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
        instances = draw_ellipses(objects, size, num_classes, generator)
        batch.append({"image": noise_image(size, generator), "instances": instances})
    return batch


def noise_image(size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Return a (3, H, W) uint8 image of noise."""
    return torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8)


def depth(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return how deep in the ellipse of a box a pixel lies: 1 in the middle, 0 at its edge."""
    center, radius = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    x = (torch.arange(size[1]) - center[:, :1]) / radius[:, :1]
    y = (torch.arange(size[0]) - center[:, 1:]) / radius[:, 1:]
    return 1 - (x.square()[:, None, :] + y.square()[:, :, None])
