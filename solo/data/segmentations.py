"""Masks and boxes of annotations, in whichever of COCO's formats, as the pixels that they stand for."""

from typing import Any

import numpy as np
from detectron2.data import transforms as T
from detectron2.structures import BoxMode
from pycocotools import mask as coco_mask

from solo.data.bounds import mask_bounds
from solo.data.mask_forms import read_mask
from solo.errors import UserError
from solo.structures.region import Region, region_of_box, region_of_mask, region_of_polygons
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
    if isinstance(segmentation, np.ndarray):
        pixels = decode_mask(segmentation)
        if pixels.shape != tuple(height_width):
            raise UserError(
                f"its mask is {pixels.shape[1]}x{pixels.shape[0]} pixels, "
                f"the image {height_width[1]}x{height_width[0]}"
            )
        return region_of_mask(transforms.apply_segmentation(pixels))
    mask = read_mask(segmentation, height_width)
    if mask is None:
        raise UserError("its segmentation is empty")
    if isinstance(mask, list):
        # apply_coords, not apply_polygons: that clips by shapely, which drawing makes unnecessary.
        moved = [transforms.apply_coords(polygon.reshape(-1, 2)) for polygon in mask]
        return region_of_polygons(moved, *new_height_width)
    return region_of_mask(transforms.apply_segmentation(coco_mask.decode(mask)))


def moved_box(
    annotation: dict[str, Any],
    transforms: T.TransformList,
    height_width: tuple[int, int],
    new_height_width: tuple[int, int],
) -> Region | None:
    """Return the box of an annotation after the augmentations of its image: around its moved corners.

    Args and returned as of :func:`moved_region`; no mask is drawn.

    Raises:
        UserError: See :func:`annotated_box`.
    """
    left, top, right, bottom = annotated_box(annotation, height_width)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    moved = transforms.apply_coords(corners)
    x0, y0, x1, y1 = np.concatenate([moved.min(axis=0), moved.max(axis=0)]).tolist()
    return region_of_box((x0, y0, x1, y1), *new_height_width)


def annotated_box(annotation: dict[str, Any], height_width: tuple[int, int]) -> np.ndarray:
    """Return the box of an annotation, or the bounds of its mask where it has none: XYXY, (4,), in pixels.

    Raises:
        UserError: If there is neither, or what there is cannot be understood.
    """
    if annotation.get("bbox") is not None:
        given = [float(number) for number in annotation["bbox"]]
        mode = annotation.get("bbox_mode", BoxMode.XYWH_ABS)
        box = np.array(BoxMode.convert(given, mode, BoxMode.XYXY_ABS), dtype=np.float64)
        if (box[:2] < box[2:]).all():
            return box
    mask = read_mask(annotation.get("segmentation"), height_width)
    if mask is None:
        raise UserError("it has neither a box with an area nor a segmentation")
    return mask_bounds(mask)


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
