"""The bounds of masks and boxes: whether they lie in their image, and agree.

Legend: bounds are XYXY, (4,), the far edge exclusive, in pixels.
"""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from solo.data.mask_forms import Mask

# Pixels by which a box or a polygon may leave the image, and a box differ from its mask: annotation
# tools round, and so does drawing.
_SLACK = 2.0
# ... to which large objects add this share of their side.
_RELATIVE_SLACK = 0.05


def mask_bounds(mask: Mask) -> np.ndarray:
    """Return the bounds of the corners of polygons, or of the pixels of an RLE mask."""
    if isinstance(mask, list):
        corners = np.concatenate(mask).reshape(-1, 2)
        return np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return far_corner(coco_mask.toBbox(mask))


def far_corner(box: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the bounds of a box [x, y, width, height]."""
    left, top, width, height = box
    return np.array([left, top, left + width, top + height], dtype=np.float64)


def excess(bounds: np.ndarray, size: tuple[int, int]) -> float:
    """Return the pixels by which bounds leave an image of (H, W); 0 if these are within the slack."""
    beyond = max(-bounds[0], -bounds[1], bounds[2] - size[1], bounds[3] - size[0])
    return float(beyond) if beyond > _SLACK else 0.0


def agree(box: np.ndarray, bounds: np.ndarray) -> bool:
    """Return whether the bounds of a box are those of its mask, but for rounding."""
    allowed = _SLACK + _RELATIVE_SLACK * np.tile(bounds[2:] - bounds[:2], 2)
    return bool((np.abs(box - bounds) <= allowed).all())
