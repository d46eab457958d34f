"""What was found, apart from its image: taken out of instances, merged over views by vote, and put back.

Pure functions of run lengths: no model, no pixels of images. Tiles are merged in `seams`.

Legend: H, W image size.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from detectron2.structures import Instances
from pycocotools import mask as coco_mask

from solo.structures.run_lengths import (
    RLE,
    boxes_of,
    decode_box,
    make_instances,
    place_mask,
    rles_of,
)

# IoU with the best one from which on what other views found is the same object.
_SAME = 0.5


class Found(NamedTuple):
    """An object that was found: its mask, how sure that is, and its class index."""

    rle: RLE
    score: float
    category: int


def found_in(instances: Instances) -> list[Found]:
    """Take instances apart; their masks become run lengths."""
    fields = (rles_of(instances), instances.scores.tolist(), instances.pred_classes.tolist())
    return [Found(*row) for row in zip(*fields, strict=True)]


def to_instances(
    found: Sequence[Found],
    *,
    size: tuple[int, int],
    mask_format: str,
    max_instances: int,
    device: torch.device | str = "cpu",
) -> Instances:
    """Make instances of objects, the best first; see `make_instances`."""
    return make_instances(
        [item.rle for item in found],
        [item.score for item in found],
        [item.category for item in found],
        size=size,
        mask_format=mask_format,
        max_instances=max_instances,
        device=device,
    )


def merge_views(
    views: Sequence[Sequence[Found]], size: tuple[int, int], *, class_agnostic: bool = False
) -> list[Found]:
    """Let what several views of an image show of an object vote on it.

    Args:
        views: What was found in each, in the frame of the image.
        size: (H, W).
        class_agnostic: See `group_views`.

    Returns:
        The objects. The score is the sum over the number of views: one that overlooked it counts as 0.
    """
    return [
        Found(vote(group, size), sum(item.score for item in group) / len(views), group[0].category)
        for group in group_views(views, class_agnostic=class_agnostic)
    ]


def group_views(
    views: Sequence[Sequence[Found]], *, class_agnostic: bool = False
) -> Iterator[list[Found]]:
    """Yield what is one object, the best of it first: of each view one at most.

    What a view found twice is left to be a group of its own, with a score as low as there. As in the
    suppression of each view, `class_agnostic` lets different classes be one object.
    """
    everything = [(view, item) for view, items in enumerate(views) for item in items]
    kinds = [0 if class_agnostic else item.category for _, item in everything]
    for kind in sorted(set(kinds)):
        members = [pair for pair, other in zip(everything, kinds, strict=True) if other == kind]
        members.sort(key=lambda pair: -pair[1].score)
        rles = [item.rle for _, item in members]
        same = coco_mask.iou(rles, rles, [0] * len(rles)) >= _SAME
        free = np.ones(len(members), dtype=bool)
        while free.any():
            best = int(free.argmax())
            free[best] = False
            group = {members[best][0]: best}
            for other in np.flatnonzero(same[best] & free).tolist():
                group.setdefault(members[other][0], other)
            free[list(group.values())] = False
            yield [members[index][1] for index in group.values()]


def vote(group: Sequence[Found], size: tuple[int, int]) -> RLE:
    """Return the pixels of an image (H, W) that more than half of a group has, by score."""
    rles = [member.rle for member in group]
    if len(rles) == 1:
        return rles[0]
    boxes = boxes_of(rles)
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    votes = np.zeros((bottom - top, right - left), dtype=np.float32)
    for member in group:
        votes += np.float32(member.score) * decode_box(member.rle, (left, top, right, bottom))
    half = sum(member.score for member in group) / 2
    return place_mask(votes > half, (top, left), size)
