"""Find the instances of an image that is larger than a network sees well: tile by tile.

An object that a seam cuts is found in part on either side; `seams` puts it together.

Legend: n instances, H, W image size, tile: a rectangle of the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from detectron2.structures import Instances
from pycocotools import mask as coco_mask

from solo.config.choices import MaskFormat
from solo.errors import UserError
from solo.inference.merging import found_in, to_instances
from solo.inference.seams import Part, Whole, join_parts, settle
from solo.layers.output import encoded_masks
from solo.structures.box import Box
from solo.structures.image_size import ImageSize
from solo.structures.instances import are_boxes, without_masks
from solo.structures.run_lengths import boxes_of, place_rle

Find = Callable[[Sequence[np.ndarray]], list[Instances]]
"""Finds the instances of each of some images, (H, W, 3) uint8 BGR."""


@dataclass(frozen=True)
class TileRule:
    """How to cut large images into tiles, and when two tiles found the same.

    Attributes:
        size: Side of a tile in pixels. An image whose longer side is no more is not cut.
        overlap: Share of a tile that the next one sees again, up to a half. An object of that size
            is seen whole by some tile.
        whole: Whether to look at the whole image, too, reduced to the size of a tile, for objects
            that no tile shows whole.
        merge_thresh: IoU, over the pixels that two tiles share, from which on two parts belong to
            one object; also between an object in tiles and in the whole image.
        max_instances: Kept at most, best first, of all tiles.
    """

    size: int = 1024
    overlap: float = 0.25
    whole: bool = True
    merge_thresh: float = 0.5
    max_instances: int = 1000

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.size < 32:
            raise UserError(f"The size of tiles is {self.size}; give 32 pixels or more.")
        if not 0 < self.overlap <= 0.5:
            raise UserError(
                f"The overlap of tiles is {self.overlap}; give a share of a tile above 0, since only "
                "there can parts be compared, and up to 0.5."
            )
        if not 0 < self.merge_thresh <= 1:
            raise UserError(f"merge_thresh is {self.merge_thresh}; give an IoU above 0, up to 1.")
        if self.max_instances < 1:
            raise UserError(f"max_instances is {self.max_instances}; give 1 or more.")

    def tiles(self, size: tuple[int, int]) -> list[Box]:
        """Return the tiles of an image of a size (H, W), row by row: evenly placed, all of one size."""
        (tops, height), (lefts, width) = (self._axis(length) for length in size)
        return [Box(left, top, left + width, top + height) for top in tops for left in lefts]

    def _axis(self, length: int) -> tuple[list[int], int]:
        """Return where tiles begin along an axis, and their side."""
        side = min(self.size, length)
        step = int(self.size * (1 - self.overlap))
        count = 1 + -(-(length - side) // step)
        return np.linspace(0, length - side, count).round().astype(int).tolist(), side


def find_in_tiles(image: np.ndarray, find: Find, rule: TileRule) -> Instances:
    """Find the instances of an image tile by tile, and put together what seams cut.

    Tiles go to `find` one at a time. What they found is kept as run lengths, so that memory grows with
    outlines instead of areas; only a result with `pred_masks` takes its (n, H, W) in the end. Boxes without
    masks are put together by their pixels, and come out rounded to these.

    Args:
        image: (H, W, 3) uint8 BGR.
        find: Finds the instances of images no larger than a tile.
        rule: Which tiles, and which of their parts are one object.

    Returns:
        Instances at the size of the image in descending order of score: `pred_boxes`, `scores`,
        `pred_classes`, and `pred_masks` or `pred_rles`, whichever `find` returns, if any. Of an image no
        larger than a tile, what `find` returns.
    """
    size = image.shape[:2]
    tiles = rule.tiles(size)
    if len(tiles) == 1:
        return find([image])[0]
    parts, formats = zip(*(_look_at(image, tile, find) for tile in tiles), strict=True)
    found = join_parts(parts, rule.merge_thresh, rule.size, size)
    wholes = _find_whole(image, find, rule) if rule.whole else []
    joined = to_instances(
        [item.found for item in settle(found, wholes, rule.merge_thresh)],
        size=size,
        mask_format=formats[0] or MaskFormat.RLE,
        max_instances=rule.max_instances,
    )
    return joined if formats[0] else without_masks(joined)


def _look_at(image: np.ndarray, tile: Box, find: Find) -> tuple[list[Part], MaskFormat | None]:
    """Find the instances of a tile, and move those with a pixel into the image; tell their format, too, if any."""
    size = image.shape[:2]
    (instances,) = find([np.ascontiguousarray(image[tile.slices])])
    parts = []
    for found in found_in(instances):
        rle = place_rle(found.rle, (tile.top, tile.left), size)
        box = Box(*boxes_of([rle])[0].tolist())
        if any(box):
            parts.append(Part(found._replace(rle=rle), box, tile))
    if are_boxes(instances):
        return parts, None
    return parts, MaskFormat.RLE if instances.has("pred_rles") else MaskFormat.BITMASK


def _find_whole(image: np.ndarray, find: Find, rule: TileRule) -> list[Whole]:
    """Find the objects that no tile shows whole in the image, reduced to the size of a tile."""
    size = image.shape[:2]
    scale = rule.size / max(size)
    reduced = tuple(max(round(length * scale), 1) for length in size)
    small = cv2.resize(image, reduced[::-1], interpolation=cv2.INTER_AREA)
    tiles = rule.tiles(size)
    wholes = []
    for found in found_in(find([small])[0]):
        # One at a time: its soft mask has a float a pixel.
        soft = torch.from_numpy(coco_mask.decode(found.rle)).float()[None]
        (enlarged,), boxes = encoded_masks(soft, ImageSize(reduced, reduced, size), 0.5)
        box = Box(*(int(side) for side in boxes[0].tolist()))
        if any(box) and not any(tile.holds(box) for tile in tiles):
            wholes.append(Whole(found._replace(rle=enlarged), box, is_cut=False))
    return wholes
