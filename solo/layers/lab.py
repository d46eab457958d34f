"""Colours as the eye tells them apart: CIE LAB, in which distances are differences that are seen."""

import torch
from torch import Tensor

# From linear sRGB to X, Y and Z under daylight (D65), each divided by that of white.
_TO_XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)


def to_lab(image: Tensor) -> Tensor:
    """Turn an sRGB image into CIE LAB.

    Args:
        image: (3, H, W) red, green, blue, each from 0 to 255.

    Returns:
        (3, H, W) float32: L from 0 to 100, a and b about from -100 to 100.

    Source:
        IEC 61966-2-1 (sRGB) and CIE 15, with the constants of scikit-image.
    """
    share = image.float() / 255
    linear = torch.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
    red, green, blue = linear
    # No product of matrices: autocast would round it.
    xyz = torch.stack([r * red + g * green + b * blue for r, g, b in _TO_XYZ])
    root = xyz.clamp(min=0.008856) ** (1 / 3)
    x, y, z = torch.where(xyz > 0.008856, root, 7.787 * xyz + 16 / 116)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])
