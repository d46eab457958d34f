"""Binary masks: areas, boxes, centres, down-sampling.

Legend: M masks, H, W mask size in pixels.
"""

import torch
from detectron2.structures import BitMasks, PolygonMasks
from detectron2.structures.masks import polygons_to_bitmask
from torch import Tensor
from torch.nn import functional as F

from solo.layers.transfer import to_device


def to_bitmasks(
    masks: BitMasks | PolygonMasks | Tensor, size: tuple[int, int], device: torch.device
) -> Tensor:
    """Turn any of detectron2's mask structures into one tensor.

    Args:
        masks: BitMasks, PolygonMasks or an (M, H, W) tensor.
        size: (H, W) of the image, which polygons do not know.
        device: Where the result lives.

    Returns:
        (M, H, W) bool.

    Raises:
        ValueError: If the masks are of another type, or of another size than the image.
    """
    if isinstance(masks, PolygonMasks):
        bitmasks = [torch.from_numpy(polygons_to_bitmask(p, *size)) for p in masks.polygons]
        masks = torch.stack(bitmasks) if bitmasks else torch.zeros(0, *size)
    elif isinstance(masks, BitMasks):
        masks = masks.tensor
    if not isinstance(masks, Tensor):
        raise ValueError(
            f"gt_masks is a {type(masks).__name__}; give BitMasks, PolygonMasks or a tensor."
        )
    if masks.shape[1:] != size:
        raise ValueError(f"gt_masks are of size {tuple(masks.shape[1:])}, their image of {size}.")
    return to_device(masks.bool(), device)


def count_pixels(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Count the pixels of binary masks along both axes, eight at a time.

    Eight bytes are added as one integer, at most 255 times before a byte would overflow: a hundred
    times faster than a sum of booleans, which turns each pixel into eight bytes first.

    Args:
        masks: (M, H, W) bool.

    Returns:
        columns: (M, W) int64, the pixels of each column.
        rows: (M, H) int64, the pixels of each row.
    """
    count, height, width = masks.shape
    if count == 0:
        # Empty arrays of NumPy have strides of 0, which no view as other integers survives.
        zeros = torch.zeros(0, width + height, dtype=torch.int64, device=masks.device)
        return zeros[:, :width], zeros[:, width:]
    # In a row and in shape again: a side of one may have any stride, which no view as other integers survives, nor
    # does a part of a larger array that begins anywhere.
    pixels = masks.contiguous().view(-1).view(masks.shape).view(torch.uint8)
    if pixels.storage_offset() % 8:
        pixels = pixels.clone()
    if width % 8:
        pixels = F.pad(pixels, (0, -width % 8))
    words = pixels.view(torch.int64)
    columns = torch.stack([part.sum(dim=1) for part in words.split(255, dim=1)])
    rows = torch.stack([part.sum(dim=2) for part in words.split(255, dim=2)])
    columns = columns.view(torch.uint8).sum(dim=0)
    rows = rows.view(torch.uint8).view(-1, count, height, 8).sum(dim=(0, 3))
    return columns[:, :width], rows


def masks_to_boxes(masks: Tensor) -> Tensor:
    """Return the tight boxes of binary masks.

    Args:
        masks: (M, H, W) bool.

    Returns:
        (M, 4) float32 XYXY in pixels, the far edge exclusive; zeros for an empty mask.
    """
    columns, rows = count_pixels(masks)
    left, right = bounds(columns > 0)
    top, bottom = bounds(rows > 0)
    return torch.stack([left, top, right, bottom], dim=1).float()


def bounds(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first True and one past the last True of each row of (M, length)."""
    length = occupied.shape[1]
    ahead = torch.arange(length, device=occupied.device)
    end = (occupied * (ahead + 1)).amax(dim=1)
    begin = length - (occupied * (length - ahead)).amax(dim=1)
    return torch.where(end > 0, begin, 0), end


def centers_of_mass(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the pixels of each mask lie on average.

    Args:
        masks: (M, H, W) bool.

    Returns:
        centers: (M, 2) float32 x, y as pixel indices, without the half pixel; 0 for empty masks.
        areas: (M,) int64 pixels.
    """
    columns, rows = count_pixels(masks)
    areas = rows.sum(dim=1)
    sums = torch.stack([_moment(columns), _moment(rows)], dim=1)
    # Whole numbers: dividing them in float64 rounds once, to the nearest float32.
    return (sums / areas.clamp(min=1)[:, None]).float(), areas


def measure_masks(masks: Tensor) -> Tensor:
    """Return center x, y and area of each mask, (M, 3) float64: one tensor is one copy to the CPU.

    See :func:`centers_of_mass`.
    """
    centers, areas = centers_of_mass(masks)
    return torch.cat([centers.double(), areas[:, None].double()], dim=1)


def _moment(counts: Tensor) -> Tensor:
    positions = torch.arange(counts.shape[1], dtype=torch.float64, device=counts.device)
    return counts.double() @ positions


def downsample_masks(masks: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Shrink binary masks: a pixel is set where at least 2 of the 4 centre pixels of its block are.

    Equal to cv2.resize with INTER_LINEAR on uint8 masks padded to a multiple of the stride, which
    the official code uses, bit for bit.

    Args:
        masks: (M, H, W) bool.
        stride: Even side of the blocks, in pixels.
        size: (h, w) of the result, at least (H, W) / stride; what lies beyond the masks is empty.

    Returns:
        (M, h, w) bool.
    """
    middle = [slice(start, None, stride) for start in (stride // 2 - 1, stride // 2)]
    pixels = masks.contiguous().view(torch.uint8)
    # Rows first: they lie together in memory.
    rows = _add_up([pixels[:, part] for part in middle], size[0], dim=1)
    total = _add_up([rows[:, :, part] for part in middle], size[1], dim=2)
    return total >= 2


def _add_up(parts: list[Tensor], length: int, dim: int) -> Tensor:
    """Add two tensors as if zeros followed them up to this length."""
    if all(part.shape[dim] == length for part in parts):
        return parts[0] + parts[1]  # no zeros to write, and to read again
    shape = list(parts[0].shape)
    shape[dim] = length
    total = parts[0].new_zeros(shape)
    for part in parts:
        total.narrow(dim, 0, part.shape[dim]).add_(part)
    return total


def resize_soft_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (M, h, w) soft masks bilinearly to (M, H, W); the masks themselves where it fits."""
    if masks.shape[1:] == size:
        return masks
    return F.interpolate(masks[None], size=size, mode="bilinear", align_corners=False)[0]


def probabilities_and_logits(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `to_probabilities` does, and the logits in float32, which stay as they are."""
    logits = logits.float()
    return logits.sigmoid(), logits


def to_probabilities(logits: Tensor) -> Tensor:
    """Turn logits into float32 probabilities: in place, a copy less, where they are of that type."""
    logits = logits.float()
    # torch before 2.8 can not export a change of what may be its input.
    return logits.sigmoid() if torch.compiler.is_compiling() else logits.sigmoid_()
