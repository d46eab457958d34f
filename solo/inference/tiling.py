"""Find the instances of an image that is larger than a network sees well: tile by tile.

An object that a seam cuts is found in part on either side. Tiles overlap, and what two of them found is
one object if it is the same pixels of their overlap, whatever lies beyond it.

Legend: n instances, H, W image size, tile: a rectangle of the image.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import torch
from detectron2.structures import Instances
from pycocotools import mask as coco_mask

from solo.errors import UserError
from solo.layers.output import encoded_masks
from solo.structures.box import Box
from solo.structures.image_size import ImageSize
from solo.structures.run_lengths import (
    RLE,
    boxes_of,
    make_instances,
    place_mask,
    place_rle,
    rles_of,
)

Find = Callable[[Sequence[np.ndarray]], list[Instances]]
"""Finds the instances of each of some images, (H, W, 3) uint8 BGR."""

# Pixels that two parts share at least, or all of the smaller one: fewer agree by chance.
_MIN_SHARED = 8
# A mask that ends so near to a tile's edge, in tiles, was cut there: it is found at a coarser scale.
_MARGIN = 1 / 128


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


class _Part(NamedTuple):
    """What one tile shows of an object: its mask, in the image, and the bounds of that."""

    rle: RLE
    box: Box
    score: float
    category: int
    tile: Box


class _Found(NamedTuple):
    """An object, put together.

    Attributes:
        rle: The mask, in the image.
        box: Its bounds.
        score: Of its parts together.
        category: Its class.
        is_cut: Whether it ends where a tile does: then some of it may be missing.
    """

    rle: RLE
    box: Box
    score: float
    category: int
    is_cut: bool


def find_in_tiles(image: np.ndarray, find: Find, rule: TileRule) -> Instances:
    """Find the instances of an image tile by tile, and put together what seams cut.

    Tiles go to `find` one at a time. What they found is kept as run lengths, so that memory grows with
    outlines instead of areas; only a result with `pred_masks` takes its (n, H, W) in the end.

    Args:
        image: (H, W, 3) uint8 BGR.
        find: Finds the instances of images no larger than a tile.
        rule: Which tiles, and which of their parts are one object.

    Returns:
        Instances at the size of the image in descending order of score: `pred_boxes`, `scores`,
        `pred_classes`, and `pred_masks` or `pred_rles`, whichever `find` returns. Of an image no
        larger than a tile, what `find` returns.
    """
    size = image.shape[:2]
    tiles = rule.tiles(size)
    if len(tiles) == 1:
        return find([image])[0]
    parts: list[list[_Part]] = []
    for tile in tiles:
        pixels = np.ascontiguousarray(image[tile.top : tile.bottom, tile.left : tile.right])
        instances = find([pixels])[0]
        parts.append(_parts_of(instances, tile, size))
    found = [_unite(group, rule.size, size) for group in _group(parts, rule.merge_thresh, size)]
    wholes = _find_whole(image, find, rule) if rule.whole else []
    found = _settle(found, wholes, rule.merge_thresh)
    return make_instances(
        [item.rle for item in found],
        [item.score for item in found],
        [item.category for item in found],
        size=size,
        mask_format="rle" if instances.has("pred_rles") else "bitmask",
        max_instances=rule.max_instances,
    )


def _parts_of(instances: Instances, tile: Box, size: tuple[int, int]) -> list[_Part]:
    """Move what was found in a tile into the image; empty masks are left out."""
    rles = [place_rle(rle, (tile.top, tile.left), size) for rle in rles_of(instances)]
    boxes = [Box(*box) for box in boxes_of(rles).tolist()]
    fields = (rles, boxes, instances.scores.tolist(), instances.pred_classes.tolist())
    return [_Part(*row, tile) for row in zip(*fields, strict=True) if any(row[1])]


def _group(parts: list[list[_Part]], thresh: float, size: tuple[int, int]) -> Iterator[list[_Part]]:
    """Yield the parts, those of one object together.

    The surest pairs come first, and no group gets two parts of one tile: there they were told apart,
    and a bad mask over two neighbours cannot unite them.
    """
    groups = {
        (tile, row): [(tile, row)] for tile in range(len(parts)) for row in range(len(parts[tile]))
    }
    pairs = [
        (sureness, (one, row), (other, column))
        for one, other in combinations(range(len(parts)), 2)
        for sureness, row, column in _agreements(parts[one], parts[other], thresh, size)
    ]
    for _, one, other in sorted(pairs, reverse=True):
        group, joining = groups[one], groups[other]
        if {tile for tile, _ in group}.isdisjoint(tile for tile, _ in joining):
            group += joining
            groups.update(dict.fromkeys(joining, group))
    for member, group in groups.items():
        # Each group once.
        if member == group[0]:
            yield [parts[tile][row] for tile, row in group]


def _agreements(
    ones: list[_Part], others: list[_Part], thresh: float, size: tuple[int, int]
) -> Iterator[tuple[float, int, int]]:
    """Yield the pairs of parts of two tiles that may be one object: how surely, and their rows."""
    overlap = ones[0].tile.shared(others[0].tile) if ones and others else None
    if overlap is None:
        return
    (rows, ours), (columns, theirs) = (_cut_to(overlap, side, size) for side in (ones, others))
    if not rows or not columns:
        return
    ious = coco_mask.iou(ours, theirs, [0] * len(theirs))
    for i, j in np.argwhere(ious >= thresh).tolist():
        one, other = ones[rows[i]], others[columns[j]]
        shared = coco_mask.area(coco_mask.merge([ours[i], theirs[j]], intersect=True))
        enough = min(_MIN_SHARED, coco_mask.area(one.rle), coco_mask.area(other.rle))
        if one.category == other.category and shared >= enough:
            yield ious[i, j] * one.score * other.score, rows[i], columns[j]


def _cut_to(region: Box, parts: list[_Part], size: tuple[int, int]) -> tuple[list[int], list[RLE]]:
    """Return which parts reach into a region, and their masks inside it."""
    rows = [row for row, part in enumerate(parts) if part.box.shared(region)]
    everything = np.ones((region.bottom - region.top, region.right - region.left), dtype=bool)
    inside = place_mask(everything, (region.top, region.left), size)
    return rows, [coco_mask.merge([parts[row].rle, inside], intersect=True) for row in rows]


def _unite(group: list[_Part], tile_size: int, size: tuple[int, int]) -> _Found:
    """Make one object of its parts.

    Where tiles show all of it, theirs is a better mask than a union with guesses about a cut object:
    the best of them is taken as it is. The score is a mean by area, since little of an object is hard
    to tell.
    """
    rle = coco_mask.merge([part.rle for part in group])
    box = Box(*boxes_of([rle])[0].tolist())
    margin = int(tile_size * _MARGIN)
    complete = [part for part in group if not _is_cut(part, part.box, size, margin)]
    if complete:
        best = max(complete, key=lambda part: part.score)
        rle, box = best.rle, best.box
    counting = complete or group
    areas = coco_mask.area([part.rle for part in counting])
    score = float(np.average([part.score for part in counting], weights=areas))
    is_cut = not complete and any(_is_cut(part, box, size, margin) for part in group)
    return _Found(rle, box, score, group[0].category, is_cut)


def _is_cut(part: _Part, box: Box, size: tuple[int, int], margin: int) -> bool:
    """Return whether a part ends at an edge of its tile beyond which the object's box does not go on."""
    height, width = size
    tile = part.tile
    return (
        (0 < tile.left <= box.left and part.box.left <= tile.left + margin)
        or (0 < tile.top <= box.top and part.box.top <= tile.top + margin)
        or (width > tile.right >= box.right and part.box.right >= tile.right - margin)
        or (height > tile.bottom >= box.bottom and part.box.bottom >= tile.bottom - margin)
    )


def _find_whole(image: np.ndarray, find: Find, rule: TileRule) -> list[_Found]:
    """Find the objects that no tile shows whole in the image, reduced to the size of a tile."""
    size = image.shape[:2]
    scale = rule.size / max(size)
    reduced = tuple(max(round(length * scale), 1) for length in size)
    small = cv2.resize(image, reduced[::-1], interpolation=cv2.INTER_AREA)
    instances = find([small])[0]
    found = []
    fields = (rles_of(instances), instances.scores.tolist(), instances.pred_classes.tolist())
    tiles = rule.tiles(size)
    for rle, score, category in zip(*fields, strict=True):
        # One at a time: its soft mask has a float a pixel.
        soft = torch.from_numpy(coco_mask.decode(rle)).float()[None]
        (enlarged,), boxes = encoded_masks(soft, ImageSize(reduced, reduced, size), 0.5)
        box = Box(*(int(side) for side in boxes[0].tolist()))
        if any(box) and not any(tile.holds(box) for tile in tiles):
            found.append(_Found(enlarged, box, score, category, is_cut=False))
    return found


def _settle(found: list[_Found], wholes: list[_Found], thresh: float) -> list[_Found]:
    """Keep one of an object that was found in tiles and in the whole image, and no piece of a larger one.

    Tiles show an object finer, so theirs is kept if they show all of it.
    """
    complete = [item for item in found if not item.is_cut]
    wholes = [item for item in wholes if _overlap(item, complete, share=False) < thresh]
    # Areas are unsigned.
    found = sorted(found, key=lambda item: -int(coco_mask.area(item.rle)))
    # A piece that a seam cut off, and that agreed with no other, for instance since little is seen of it.
    pieces = {
        index
        for index, item in enumerate(found)
        if item.is_cut and _overlap(item, found[:index] + wholes, share=True) >= thresh
    }
    return wholes + [item for index, item in enumerate(found) if index not in pieces]


def _overlap(item: _Found, others: list[_Found], *, share: bool) -> float:
    """Return the largest IoU of an object with others of its class, or share of it that one covers."""
    near = [
        other.rle
        for other in others
        if other.category == item.category and other.box.shared(item.box)
    ]
    # Beside what COCO calls a crowd, the intersection is divided by the object's own area.
    return coco_mask.iou([item.rle], near, [share] * len(near)).max() if near else 0.0
