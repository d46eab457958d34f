"""How well soft masks show the instances that they should, for category losses that ask.

Legend: N images, C cells of all levels, P positive pairs, M instances of an image, H, W soft mask size.
"""

from collections.abc import Callable, Sequence

import torch
from detectron2.structures import Instances
from torch import Tensor

from solo.layers.masks import count_pixels
from solo.layers.transfer import to_device, to_host
from solo.modeling.losses import pairs_at_a_time
from solo.modeling.targets import Targets

PairQuality = Callable[[Tensor, Tensor], Tensor]
"""Turns (P, H, W) soft masks and the (P,) instances that they should show, on the CPU, into (P,) numbers in [0, 1]."""


@torch.no_grad()
def mask_ious(soft_masks: Tensor, masks: Tensor, instances: Tensor) -> Tensor:
    """Return the IoU of each soft mask, where it is above .5, with the mask of its instance.

    Args:
        soft_masks: (P, H, W) probabilities.
        masks: (M, H, W) bool, one for each instance.
        instances: (P,) the instance that each soft mask should show.

    Returns:
        (P,) float32 in [0, 1]; 0 where both are empty.
    """
    areas = _areas(masks)[instances]
    ious = torch.empty(len(soft_masks), device=soft_masks.device)
    for part in pairs_at_a_time(soft_masks):
        found = soft_masks[part] > 0.5
        common = _areas(found & masks[instances[part]])
        ious[part] = common / (areas[part] + _areas(found) - common).clamp(min=1)
    return ious


def cell_quality(
    quality: Sequence[Tensor], targets: Sequence[Targets], truth: Sequence[Instances]
) -> Tensor:
    """Give the quality of pairs to their cells.

    Args:
        quality: Of each image, (P,) float32 on the device.
        targets: Of each image.
        truth: Of each image, with gt_classes.

    Returns:
        (N, C): 0 for the background, else that of the cell's pair with an instance of the cell's category, the
        largest of several.
    """
    device = quality[0].device
    cells = torch.zeros(len(targets), len(targets[0].categories), device=device)
    for row, measured, target, image in zip(cells, quality, targets, truth, strict=True):
        classes = to_host(image.gt_classes)[target.instances]
        fits = to_device(classes == target.categories[target.cells], device)
        row.scatter_reduce_(0, to_device(target.cells, device), measured * fits, reduce="amax")
    return cells


def _areas(masks: Tensor) -> Tensor:
    """Count the pixels of (M, H, W) bool masks."""
    return count_pixels(masks)[1].sum(dim=1)
