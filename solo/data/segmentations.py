"""Masks of annotations, in whichever of COCO's formats, as the pixels that they stand for."""

from typing import Any

import numpy as np
from detectron2.data import transforms as T
from pycocotools import mask as coco_mask

from solo.errors import UserError
from solo.structures.region import Region, region_of_mask, region_of_polygons
from solo.structures.run_lengths import RLE, as_compressed


def moved_region(
    annotation: dict[str, Any],
    transforms: T.TransformList,
    height_width: tuple[int, int],
    new_height_width: tuple[int, int],
) -> Region | None:
    """Return the mask of an annotation after the augmentations of its image.

    Polygons are moved as coordinates and drawn once, at the final size: this costs least, and
    loses nothing to resampling.

    Args:
        annotation: With ``segmentation`` in one of COCO's three formats, or a per-pixel array.
        transforms: What was done to the image.
        height_width: Of the image before, in pixels.
        new_height_width: Of the image after, in pixels.

    Returns:
        The region in the new image; None if nothing of the object is left.

    Raises:
        UserError: If there is no segmentation, or one that cannot be understood.
    """
    segmentation = annotation.get("segmentation")
    if segmentation is None:
        raise UserError("it has no segmentation, and a box alone does not teach masks")
    if isinstance(segmentation, list):
        polygons = [polygon_corners(points) for points in segmentation]
        # apply_coords, not apply_polygons: that clips by shapely, which drawing makes unnecessary.
        moved = [transforms.apply_coords(polygon) for polygon in polygons]
        return region_of_polygons(moved, *new_height_width)
    mask = decode_mask(segmentation)
    if mask.shape != tuple(height_width):
        raise UserError(
            f"its mask is {mask.shape[1]}x{mask.shape[0]} pixels, "
            f"the image {height_width[1]}x{height_width[0]}"
        )
    return region_of_mask(transforms.apply_segmentation(mask))


def decode_mask(segmentation: RLE | np.ndarray) -> np.ndarray:
    """Return a mask as pixels.

    Args:
        segmentation: COCO's RLE, compressed (``counts`` is bytes or a string) or not (a list), or
            an array (H, W) whose non-zero pixels belong to the object.

    Returns:
        (H, W) uint8, 0 or 1.

    Raises:
        UserError: If it is none of these.
    """
    if isinstance(segmentation, np.ndarray):
        if segmentation.ndim != 2:
            raise UserError(f"its mask must have two dimensions, got {segmentation.shape}")
        return (segmentation != 0).astype(np.uint8)
    if not isinstance(segmentation, dict) or not {"size", "counts"} <= segmentation.keys():
        raise UserError(
            "its segmentation is neither a list of polygons, nor RLE with size and counts, "
            f"nor an array of pixels, but {segmentation!r:.60}"
        )
    return coco_mask.decode(as_compressed(segmentation))


def polygon_corners(points: Any) -> np.ndarray:
    """Return the corners of a polygon, (n, 2) float64, a copy.

    Args:
        points: A list x1, y1, x2, y2, ..., unless the annotation is broken.

    Raises:
        UserError: If it is none, or of fewer than three corners.
    """
    try:
        # A copy: transforms work in place.
        numbers = np.array(points, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        problem = f"is no list of numbers: {points!r:.60}"
        raise UserError(f"one of its polygons {problem}: give at least three x, y pairs") from error
    if len(numbers) >= 6 and len(numbers) % 2 == 0 and np.isfinite(numbers).all():
        return numbers.reshape(-1, 2)
    problem = "some of them not finite" if len(numbers) >= 6 else "where six are the least"
    if len(numbers) % 2:
        problem = "which are no pairs"
    raise UserError(
        f"one of its polygons has {len(numbers)} numbers, {problem}: give at least three x, y pairs"
    )
