"""Numbers that objects keep from frame to frame of a video, by the overlap of their masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from detectron2.structures import Instances

from solo.visualization.cutouts import Region, get_regions
from solo.visualization.draw import PALETTE


@dataclass
class _Track:
    """An object that was seen.

    Attributes:
        number: Its own in the video.
        region: Its mask and class, where it was seen last.
        last_seen: The number of that frame.
    """

    number: int
    region: Region
    last_seen: int


class Associator:
    """Recognise the objects of one frame in the next: same class, overlapping masks.

    Hand in the frames of one video in their order. There is no model of motion: an object that moves
    by its own size between two frames becomes a new one.
    """

    def __init__(self, *, iou_thresh: float = 0.3, max_gap: int = 5) -> None:
        """Start a video.

        Args:
            iou_thresh: Least mask IoU of an object with itself in the frame where it was seen last.
            max_gap: Frames in a row that an object may be missed and still be recognised.

        Raises:
            ValueError: A value is out of its range.
        """
        if not 0 < iou_thresh <= 1:
            raise ValueError(f"iou_thresh must be more than 0 and at most 1, not {iou_thresh}.")
        if max_gap < 0:
            raise ValueError(f"max_gap must be 0 or more frames, not {max_gap}.")
        self._iou_thresh = iou_thresh
        self._max_gap = max_gap
        self._frame = 0
        self._next_number = 0
        self._tracks: list[_Track] = []

    def update(self, instances: Instances) -> np.ndarray:
        """Number the instances of the next frame.

        Args:
            instances: n predictions with `pred_masks` or `pred_rles`, and `pred_classes`.

        Returns:
            (n,) int64, no two alike. Numbers rise from 0; some are left out, so that objects seen
            together have different colours of the palette, while these last.
        """
        self._frame += 1
        oldest = self._frame - self._max_gap - 1
        self._tracks = [track for track in self._tracks if track.last_seen >= oldest]
        regions = get_regions(instances)
        tracks = self._match(regions)
        for region in regions:
            if region.index not in tracks:
                tracks[region.index] = _Track(self._new_number(), region, self._frame)
                self._tracks.append(tracks[region.index])
            tracks[region.index].region = region
            tracks[region.index].last_seen = self._frame
        # Empty masks have no region, and are not recognised again.
        rows = range(len(instances))
        numbers = [tracks[row].number if row in tracks else self._new_number() for row in rows]
        return np.array(numbers, dtype=np.int64)

    def _match(self, regions: Sequence[Region]) -> dict[int, _Track]:
        """Return the track per row of the instances that have one, the best pairs first."""
        pairs = [
            (iou, region.index, track)
            for region in regions
            for track in self._tracks
            if region.category == track.region.category
            and (iou := _mask_iou(region, track.region)) >= self._iou_thresh
        ]
        tracks: dict[int, _Track] = {}
        taken: set[int] = set()
        for _, row, track in sorted(pairs, key=lambda pair: -pair[0]):
            if row not in tracks and track.number not in taken:
                tracks[row] = track
                taken.add(track.number)
        return tracks

    def _new_number(self) -> int:
        """Return the next number whose colour no living track has; any, where all are in use."""
        colors = {track.number % len(PALETTE) for track in self._tracks}
        number = self._next_number
        while number % len(PALETTE) in colors and len(colors) < len(PALETTE):
            number += 1
        self._next_number = number + 1
        return number


def _mask_iou(a: Region, b: Region) -> float:
    """Return the IoU of two masks, from what their boxes have in common."""
    left, top = max(a.left, b.left), max(a.top, b.top)
    right = min(a.left + a.mask.shape[1], b.left + b.mask.shape[1])
    bottom = min(a.top + a.mask.shape[0], b.top + b.mask.shape[0])
    if right <= left or bottom <= top:
        return 0.0
    parts = [
        each.mask[top - each.top : bottom - each.top, left - each.left : right - each.left]
        for each in (a, b)
    ]
    both = cv2.countNonZero(cv2.bitwise_and(*parts))
    return both / (cv2.countNonZero(a.mask) + cv2.countNonZero(b.mask) - both)
