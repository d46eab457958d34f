"""Numbers that objects keep from frame to frame of a video, by the overlap of their masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from detectron2.structures import Instances

from solo.structures.cutouts import Cutout, get_cutouts


@dataclass
class _Track:
    """An object that was seen."""

    number: int  # its own in the video
    cutout: Cutout  # its mask and class, where it was seen last
    last_seen: int  # the number of that frame


class MaskIoUTracker:
    """Recognise the objects of one frame in the next: same class, overlapping masks.

    Hand in the frames of one video in their order. There is no model of motion: an object that moves
    by its own size between two frames becomes a new one.
    """

    def __init__(self, *, iou_thresh: float = 0.3, max_gap: int = 5, num_colors: int = 20) -> None:
        """Start a video.

        Args:
            iou_thresh: Least mask IoU of an object with itself in the frame where it was seen last.
            max_gap: Frames in a row that an object may be missed and still be recognised.
            num_colors: Of the palette that pictures are drawn in.

        Raises:
            ValueError: A value is out of its range.
        """
        if not 0 < iou_thresh <= 1:
            raise ValueError(f"iou_thresh must be more than 0 and at most 1, not {iou_thresh}.")
        if max_gap < 0:
            raise ValueError(f"max_gap must be 0 or more frames, not {max_gap}.")
        self._iou_thresh = iou_thresh
        self._max_gap = max_gap
        self._num_colors = num_colors
        self._frame = 0
        self._next_number = 0
        self._tracks: list[_Track] = []

    def update(self, instances: Instances) -> np.ndarray:
        """Number the instances of the next frame.

        Args:
            instances: n predictions with `pred_masks` or `pred_rles`, and `pred_classes`.

        Returns:
            (n,) int64, no two alike. Numbers rise from 0; some are left out, so that objects seen
            together differ modulo the number of colours, while these last.
        """
        self._frame += 1
        oldest = self._frame - self._max_gap - 1
        self._tracks = [track for track in self._tracks if track.last_seen >= oldest]
        cutouts = get_cutouts(instances)
        tracks = self._match(cutouts)
        for cutout in cutouts:
            if cutout.row not in tracks:
                tracks[cutout.row] = _Track(self._new_number(), cutout, self._frame)
                self._tracks.append(tracks[cutout.row])
            track = tracks[cutout.row]
            track.cutout, track.last_seen = cutout, self._frame
        # Empty masks have no cutout, and are not recognised again.
        rows = range(len(instances))
        numbers = [tracks[row].number if row in tracks else self._new_number() for row in rows]
        return np.array(numbers, dtype=np.int64)

    def _match(self, cutouts: Sequence[Cutout]) -> dict[int, _Track]:
        """Return the track per row of the instances that have one, the best pairs first."""
        pairs = [
            (iou, cutout.row, track)
            for cutout in cutouts
            for track in self._tracks
            if cutout.category == track.cutout.category
            and (iou := _mask_iou(cutout, track.cutout)) >= self._iou_thresh
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
        colors = {track.number % self._num_colors for track in self._tracks}
        number = self._next_number
        while number % self._num_colors in colors and len(colors) < self._num_colors:
            number += 1
        self._next_number = number + 1
        return number


def _mask_iou(a: Cutout, b: Cutout) -> float:
    """Return the IoU of two masks, from what their boxes have in common."""
    shared = a.box.common(b.box)
    parts = [each.mask[shared.moved(-each.left, -each.top).slices] for each in (a, b)]
    if not parts[0].size:
        return 0.0
    both = cv2.countNonZero(cv2.bitwise_and(*parts))
    return both / (cv2.countNonZero(a.mask) + cv2.countNonZero(b.mask) - both)
