"""Put together what seams between tiles cut.

What two tiles found is one object if it is the same pixels of their overlap, whatever lies beyond it.

Legend: tile: a rectangle of the image.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from solo.inference.merging import Found
from solo.structures.box import Box
from solo.structures.run_lengths import RLE, boxes_of, place_mask

# Pixels that two parts share at least, or all of the smaller one: fewer agree by chance.
_MIN_SHARED = 8
# A mask that ends so near to a tile's edge, in tiles, was cut there: it is found at a coarser scale.
_MARGIN = 1 / 128


class Part(NamedTuple):
    """What one tile shows of an object."""

    found: Found  # its mask, in the image
    box: Box  # the bounds of that
    tile: Box


class Whole(NamedTuple):
    """An object, put together."""

    found: Found  # the mask, in the image, and the score of its parts together
    box: Box  # its bounds
    is_cut: bool  # whether it ends where a tile does: then some of it may be missing


def join_parts(
    parts: Sequence[Sequence[Part]], thresh: float, tile_size: int, size: tuple[int, int]
) -> list[Whole]:
    """Make objects of their parts.

    Args:
        parts: Of each tile.
        thresh: IoU of two parts, over the pixels that their tiles share, from which on they are one.
        tile_size: Side of a tile in pixels.
        size: (H, W) of the image.
    """
    margin = int(tile_size * _MARGIN)
    return [_unite(group, margin, size) for group in _group(parts, thresh, size)]


def _group(
    parts: Sequence[Sequence[Part]], thresh: float, size: tuple[int, int]
) -> Iterator[list[Part]]:
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
    ones: Sequence[Part], others: Sequence[Part], thresh: float, size: tuple[int, int]
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
        enough = min(_MIN_SHARED, *coco_mask.area([one.found.rle, other.found.rle]))
        if one.found.category == other.found.category and shared >= enough:
            yield ious[i, j] * one.found.score * other.found.score, rows[i], columns[j]


def _cut_to(
    region: Box, parts: Sequence[Part], size: tuple[int, int]
) -> tuple[list[int], list[RLE]]:
    """Return which parts reach into a region, and their masks inside it."""
    rows = [row for row, part in enumerate(parts) if part.box.shared(region)]
    everything = np.ones((region.bottom - region.top, region.right - region.left), dtype=bool)
    inside = place_mask(everything, (region.top, region.left), size)
    return rows, [coco_mask.merge([parts[row].found.rle, inside], intersect=True) for row in rows]


def _unite(group: list[Part], margin: int, size: tuple[int, int]) -> Whole:
    """Make one object of its parts.

    Where tiles show all of it, theirs is a better mask than a union with guesses about a cut object:
    the best of them is taken as it is. The score is a mean by area, since little of an object is hard
    to tell.
    """
    rle = coco_mask.merge([part.found.rle for part in group])
    box = Box(*boxes_of([rle])[0].tolist())
    complete = [part for part in group if not _is_cut(part, part.box, size, margin)]
    if complete:
        best = max(complete, key=lambda part: part.found.score)
        rle, box = best.found.rle, best.box
    counting = complete or group
    areas = coco_mask.area([part.found.rle for part in counting])
    score = float(np.average([part.found.score for part in counting], weights=areas))
    is_cut = not complete and any(_is_cut(part, box, size, margin) for part in group)
    return Whole(Found(rle, score, group[0].found.category), box, is_cut)


def _is_cut(part: Part, box: Box, size: tuple[int, int], margin: int) -> bool:
    """Return whether a part ends at an edge of its tile beyond which the object's box does not go on."""
    height, width = size
    tile = part.tile
    return (
        (0 < tile.left <= box.left and part.box.left <= tile.left + margin)
        or (0 < tile.top <= box.top and part.box.top <= tile.top + margin)
        or (width > tile.right >= box.right and part.box.right >= tile.right - margin)
        or (height > tile.bottom >= box.bottom and part.box.bottom >= tile.bottom - margin)
    )


def settle(found: list[Whole], wholes: list[Whole], thresh: float) -> list[Whole]:
    """Keep one of an object that was found in tiles and in the whole image, and no piece of a larger one.

    Tiles show an object finer, so theirs is kept if they show all of it.
    """
    complete = [item for item in found if not item.is_cut]
    wholes = [item for item in wholes if _overlap(item, complete, share=False) < thresh]
    # Areas are unsigned.
    found = sorted(found, key=lambda item: -int(coco_mask.area(item.found.rle)))
    # A piece that a seam cut off, and that agreed with no other, for instance since little is seen of it.
    pieces = {
        index
        for index, item in enumerate(found)
        if item.is_cut and _overlap(item, found[:index] + wholes, share=True) >= thresh
    }
    return wholes + [item for index, item in enumerate(found) if index not in pieces]


def _overlap(item: Whole, others: list[Whole], *, share: bool) -> float:
    """Return the largest IoU of an object with others of its class, or share of it that one covers."""
    near = [
        other.found.rle
        for other in others
        if other.found.category == item.found.category and other.box.shared(item.box)
    ]
    # Beside what COCO calls a crowd, the intersection is divided by the object's own area.
    return coco_mask.iou([item.found.rle], near, [share] * len(near)).max() if near else 0.0
