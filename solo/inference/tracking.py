"""Numbers that objects keep from frame to frame of a video: by their masks, motion and colours.

Each frame, what is known of an object is moved to where it should be by now, and compared with what is
found: masks by their IoU first, then, of those that were lost for a while, places and colours. Instances of
high scores have the first choice, and those of low scores take what is left, as in ByteTrack (Zhang et al.,
2022). Legend: t objects that are known, n instances of the frame.
"""

import cv2
import numpy as np
from detectron2.structures import Instances

from solo.inference.appearance import likenesses, looks_of
from solo.inference.camera_motion import CameraMotion
from solo.inference.motion import whole_middles
from solo.inference.tracks import NO_OBJECT, Sighting, Track
from solo.structures.cutout_overlaps import boxes_of_cutouts, mask_ious
from solo.structures.cutouts import Cutout, get_cutouts

# From which score on instances may go on with an object that was surely seen before.
LOW_SCORE = 0.1
# Under the name of another class an object is recognised by the colours from so alike on (of 1), or else by
# this IoU; what it counts beside one of its own class.
_SAME_COLORS, _OTHER_CLASS_IOU, _OTHER_CLASS = 0.9, 0.5, 0.8
# Least IoU of an object with itself where the score is low.
_LOW_SCORE_IOU = 0.5
# What was lost is known again: at least as alike (of 1), as near (of 1, in its place), and at most so
# many times its usual area.
_LEAST_ALIKE, _LEAST_NEAR, _MOST_AREA = 0.75, 0.05, 2.0
# How far from its place it may be, in shares of its size, as a standard deviation: without
# and with colours to tell it by.
_REACH_BLIND, _REACH_SEEING = 0.5, 1.0


class Tracker:
    """Recognise the objects of one frame in the next: hand in the frames of one video in their order."""

    def __init__(
        self,
        *,
        iou_thresh: float = 0.3,
        max_gap: int = 25,
        num_colors: int = 20,
        score_thresh: float = 0.0,
        min_hits: int = 1,
    ) -> None:
        """Start a video.

        Args:
            iou_thresh: Least mask IoU of an object with itself, moved to where it should be by now.
            max_gap: Frames in a row that an object may be missed and still be recognised: a second of 25.
            num_colors: Of the palette that pictures are drawn in.
            score_thresh: Score below which an instance goes on with an object, but begins none.
            min_hits: Frames in a row that have to show an object before it gets a number; in the first
                frame each gets one. 2 leaves out what a single frame shows.

        Raises:
            ValueError: A value is out of its range.
        """
        if not 0 < iou_thresh <= 1:
            raise ValueError(f"iou_thresh must be more than 0 and at most 1, not {iou_thresh}.")
        if max_gap < 0:
            raise ValueError(f"max_gap must be 0 or more frames, not {max_gap}.")
        if min_hits < 1:
            raise ValueError(f"min_hits must be 1 or more frames, not {min_hits}.")
        self._iou_thresh = iou_thresh
        self._max_gap = max_gap
        self._num_colors = num_colors
        self._score_thresh = score_thresh
        self._min_hits = min_hits
        self._camera = CameraMotion()
        self._frame = 0
        self._next_number = 0
        self._tracks: list[Track] = []

    def update(self, instances: Instances, image: np.ndarray | None = None) -> np.ndarray:
        """Number the instances of the next frame.

        Args:
            instances: n predictions with `pred_masks` or `pred_rles`, `pred_classes`, and `scores` if any.
            image: The frame, (H, W, 3) uint8 BGR: it shows the colours of objects, and how the camera
                moves. None: they are known by masks and motion alone.

        Returns:
            (n,) int64, no two alike but for -1: what is no object by `score_thresh` and `min_hits`.
            Numbers rise from 0; some are left out, so that objects seen together differ modulo the
            number of colours, while these last.

        Raises:
            ValueError: The image is not of the size of the masks.
        """
        if image is not None and image.shape[:2] != instances.image_size:
            raise ValueError(
                f"The image is {image.shape[:2]}, and the instances are of one of {instances.image_size}."
            )
        self._frame += 1
        oldest = self._frame - self._max_gap - 1
        self._tracks = [track for track in self._tracks if track.last_seen >= oldest]
        cutouts = get_cutouts(instances)
        shift = np.zeros(2) if image is None else self._camera.shift(image, cutouts)
        for track in self._tracks:
            track.motion.step(shift)
        sightings = [self._look_at(cutout, image) for cutout in cutouts]
        numbers = np.full(len(instances), NO_OBJECT, dtype=np.int64)
        for sighting, one in zip(sightings, self._recognise(sightings), strict=True):
            if one:
                numbers[sighting.cutout.row] = self._see(one, sighting)
        self._tracks = [
            track
            for track in self._tracks
            if track.number != NO_OBJECT or track.last_seen == self._frame
        ]
        if self._min_hits == 1:
            self._number_empty(instances, numbers)
        return numbers

    def _look_at(self, cutout: Cutout, image: np.ndarray | None) -> Sighting:
        look = None if image is None else looks_of(image, cutout)
        is_sure = cutout.score is None or cutout.score >= self._score_thresh
        return Sighting(cutout, look, is_sure, cv2.countNonZero(cutout.mask))

    def _see(self, track: Track, sighting: Sighting) -> int:
        """Take a sighting into a track; return its number."""
        track.see(sighting, self._frame)
        is_proven = track.hits.total() >= self._min_hits or self._frame == 1
        if track.number == NO_OBJECT and is_proven:
            track.number = self._new_number()
        return track.number

    def _recognise(self, sightings: list[Sighting]) -> list[Track | None]:
        """Return the track of each sighting, a new one for those that are sure and match none."""
        found = self._match(sightings) if self._tracks and sightings else {}
        known = list(self._tracks)
        tracks: list[Track | None] = []
        for column, sighting in enumerate(sightings):
            track = known[found[column]] if column in found else None
            if track is None and sighting.is_sure:
                track = Track(sighting)
                self._tracks.append(track)
            tracks.append(track)
        return tracks

    def _match(self, sightings: list[Sighting]) -> dict[int, int]:
        """Return which of the tracks has each sighting that is one of them, by their places in the lists."""
        cutouts = [sighting.cutout for sighting in sightings]
        ious = mask_ious([track.moved() for track in self._tracks], cutouts)
        sure = np.array([sighting.is_sure for sighting in sightings])
        lost = np.array([[track.last_seen < self._frame - 1] for track in self._tracks])
        alike = self._alike(sightings)
        near = self._near(sightings, seeing=alike is not None)
        same = np.array([[track.category] for track in self._tracks]) == [
            cutout.category for cutout in cutouts
        ]
        likeness = np.ones_like(ious) if alike is None else alike
        # The name of a class flickers where two are as likely; colours do not.
        kin = same if alike is None else same | (alike >= _SAME_COLORS)
        overlap = (ious >= self._iou_thresh) & (~lost | (likeness >= _LEAST_ALIKE))
        looking = ious * (1 + likeness) * np.where(same, 1.0, _OTHER_CLASS)
        # By masks alone a shift of the camera is not told from another object.
        again = (near >= _LEAST_NEAR) & (likeness >= _LEAST_ALIKE) & (lost | (alike is not None))
        return _best_first(
            (looking, overlap & kin & sure),
            (looking, overlap & (ious >= _OTHER_CLASS_IOU) & sure & ~lost),
            # Of low scores much is nonsense, which would lead objects astray.
            (ious, overlap & ~sure & ~lost & (ious >= _LOW_SCORE_IOU) & (likeness >= _LEAST_ALIKE)),
            (near * likeness, again & kin & sure),
        )

    def _alike(self, sightings: list[Sighting]) -> np.ndarray | None:
        """Return how alike tracks and sightings look, (t, n), if both were in pictures."""
        known = [track.look for track in self._tracks if track.look is not None]
        seen = [sighting.look for sighting in sightings if sighting.look is not None]
        is_whole = len(known) == len(self._tracks) and len(seen) == len(sightings)
        return likenesses(known, seen) if is_whole else None

    def _near(self, sightings: list[Sighting], *, seeing: bool) -> np.ndarray:
        """Return how near sightings are to where tracks should be, (t, n): 1 is there, 0 is far, or of no such size."""
        motions = [track.motion for track in self._tracks]
        boxes = boxes_of_cutouts([sighting.cutout for sighting in sightings])
        away = whole_middles(motions, boxes) - np.array([[each.place] for each in motions])
        reach = _REACH_SEEING if seeing else _REACH_BLIND
        spread = np.array(
            [min(each.spread / each.scale + 0.2, reach) * each.scale for each in motions]
        )
        near = np.exp(-(away**2).sum(axis=-1) / (2 * spread[:, None] ** 2))
        areas = np.array([sighting.area for sighting in sightings])
        usual = np.array([[track.area] for track in self._tracks])
        return np.where(areas <= _MOST_AREA * usual, near, 0.0)

    def _number_empty(self, instances: Instances, numbers: np.ndarray) -> None:
        """Number the instances whose masks are empty: they have no cutout, and are not recognised again."""
        scores = instances.scores.tolist() if instances.has("scores") else [1.0] * len(instances)
        for row in np.flatnonzero(numbers == NO_OBJECT).tolist():
            if scores[row] >= self._score_thresh:
                numbers[row] = self._new_number()

    def _new_number(self) -> int:
        """Return the next number whose colour no living track has; any, where all are in use."""
        colors = {track.number % self._num_colors for track in self._tracks if track.number >= 0}
        number = self._next_number
        while number % self._num_colors in colors and len(colors) < self._num_colors:
            number += 1
        self._next_number = number + 1
        return number


# Its name as long as masks were all that it went by.
MaskIoUTracker = Tracker


def _best_first(*stages: tuple[np.ndarray, np.ndarray]) -> dict[int, int]:
    """Pair tracks and sightings: in each stage the best pairs of those that are left come first.

    Args:
        stages: Values of pairs, (t, n), and which of them are allowed, (t, n) bool.

    Returns:
        The track per sighting that has one.
    """
    found: dict[int, int] = {}
    taken: set[int] = set()
    for values, allowed in stages:
        rows, columns = allowed.nonzero()
        order = np.argsort(-values[rows, columns], kind="stable")
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            if row not in taken and column not in found:
                found[column] = row
                taken.add(row)
    return found
