"""How far binary masks overlap: the pixels that each pair shares, counted exactly, and their IoU.

Legend: n masks, H, W mask size in pixels, R, C its size in tiles of 8 x 8 pixels.
"""

import numpy as np
import torch
from torch import Tensor

from solo.config.choices import Intersections
from solo.layers import cpu
from solo.layers.masks import bounds
from solo.layers.stages import stage

# Pixels of all masks turned to float32 at a time for their intersections (64 MB).
_PIXELS_AT_A_TIME = 1 << 24
# Side of a tile: its pixels are the bits of one integer.
_SIDE = 8


def mask_intersections(masks: Tensor, kernel: Intersections = Intersections.AUTO) -> Tensor:
    """Count the pixels that each pair of masks shares.

    Args:
        masks: (n, H, W) bool.
        kernel: On a CPU; elsewhere it is float32.

    Returns:
        (n, n) float32, exact for masks under 2 ** 24 pixels.

    Raises:
        UserError: If the kernel is of another name.
    """
    kernel = cpu.intersection_kernel(kernel)
    if masks.device.type != "cpu":
        kernel = Intersections.FLOAT32
    return _KERNELS[kernel](masks)


@stage("NMS")
def mask_ious(masks: Tensor, kernel: Intersections = Intersections.AUTO) -> Tensor:
    """Return the (n, n) float32 IoU of each pair of (n, H, W) bool masks; 0 for two empty ones."""
    return ious_of(mask_intersections(masks, kernel))


def ious_of(intersections: Tensor) -> Tensor:
    """Return the (n, n) IoU of masks of which (n, n) pixels are shared, those of a mask its area."""
    areas = intersections.diagonal()
    unions = areas[:, None] + areas[None, :] - intersections
    return intersections / unions.clamp(min=1)


def _by_floats(masks: Tensor) -> Tensor:
    """Count by a product in float32, a bounded number of pixels at a time.

    Even under autocast: an intersection of 67,200 pixels overflows float16.
    """
    pixels = masks.flatten(1)
    count = len(pixels)
    product = torch.zeros(count, count, device=pixels.device)
    with torch.autocast(pixels.device.type, enabled=False):
        for part in pixels.split(max(_PIXELS_AT_A_TIME // max(count, 1), 1), dim=1):
            part = part.float()
            product.addmm_(part, part.t())
    return product


def _by_bytes(masks: Tensor) -> Tensor:
    """Count by a product of bytes, which takes no copy of the masks."""
    pixels = masks.flatten(1).view(torch.int8)
    return torch._int_mm(pixels, pixels.t()).float()


def _by_bits(masks: Tensor) -> Tensor:
    """Count 64 pixels at a time, and only where the boxes of two masks meet."""
    tiles = _to_tiles(masks.numpy())
    count = len(tiles)
    occupied = [torch.from_numpy((tiles != 0).any(axis=axis)) for axis in (2, 1)]
    top, bottom, left, right = (edge.numpy() for some in occupied for edge in bounds(some))
    meet = np.triu(
        (top[:, None] < bottom)
        & (top < bottom[:, None])
        & (left[:, None] < right)
        & (left < right[:, None])
    )
    shared = np.zeros((count, count), dtype=np.float32)
    for index, row in enumerate(meet):
        others = row.nonzero()[0]
        down, across = slice(top[index], bottom[index]), slice(left[index], right[index])
        both = tiles[others, down, across]
        both &= tiles[index, down, across]
        shared[index, others] = np.bitwise_count(both).sum(axis=(1, 2), dtype=np.uint32)
    return torch.from_numpy(np.maximum(shared, shared.T))


def _to_tiles(masks: np.ndarray) -> np.ndarray:
    """Pack (n, H, W) masks into one integer per tile, (n, R, C) uint64."""
    count, height, width = masks.shape
    rows, columns = -(-height // _SIDE), -(-width // _SIDE)
    packed = np.zeros((count, rows * _SIDE, columns), dtype=np.uint8)
    packed[:, :height] = np.packbits(masks, axis=2)
    # The eight bytes of a tile, one per row, lie together then.
    packed = packed.reshape(count, rows, _SIDE, columns).swapaxes(2, 3)
    return np.ascontiguousarray(packed).view(np.uint64)[..., 0]


_KERNELS = {
    Intersections.FLOAT32: _by_floats,
    Intersections.BYTES: _by_bytes,
    Intersections.BITS: _by_bits,
}
