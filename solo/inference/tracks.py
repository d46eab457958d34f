"""An object of a video: what is known of it by now, and what a frame shows of one."""

from collections import Counter
from typing import NamedTuple

import numpy as np

from solo.inference.appearance import unit
from solo.inference.motion import Motion
from solo.structures.cutouts import Cutout

# The number of what is no object, or not yet.
NO_OBJECT = -1
# The share of its usual area from which on an object shows its colours, and by how much they count.
_WHOLE, _NEW_LOOK = 0.7, 0.1
# By how much its usual area follows a larger and a smaller one, as its size does.
_GROWTH, _SHRINKAGE = 0.5, 0.05


class Sighting(NamedTuple):
    """An instance of a frame."""

    cutout: Cutout
    look: np.ndarray | None  # None: there is no picture
    is_sure: bool
    area: int


class Track:
    """An object that was seen.

    Attributes:
        cutout: Its mask, where it was seen last.
        motion: Where it should be by now, and how it moves.
        look: Its colours; None: it was never in a picture.
        area: Its usual pixels.
        last_seen: The number of the frame that showed it last.
        number: Its own in the video.
        hits: Frames that showed it under each class.
    """

    def __init__(self, sighting: Sighting) -> None:
        """Begin with what is seen for the first time; it is seen, too, by `see`."""
        self.cutout = sighting.cutout
        self.motion = Motion(sighting.cutout.box)
        self.look = sighting.look
        self.area = float(sighting.area)
        self.last_seen = 0
        self.number = NO_OBJECT
        self.hits: Counter[int] = Counter()
        self._seen_at = self.motion.place

    @property
    def category(self) -> int:
        """The class that most frames showed it under."""
        return self.hits.most_common(1)[0][0]

    def moved(self) -> Cutout:
        """Return its mask where it should be by now."""
        x, y = np.rint(self.motion.place - self._seen_at).astype(int).tolist()
        return self.cutout._replace(left=self.cutout.left + x, top=self.cutout.top + y)

    def see(self, sighting: Sighting, frame: int) -> None:
        """Take up what a frame shows of it."""
        self.motion.see(sighting.cutout.box)
        self._seen_at, self.cutout, self.last_seen = self.motion.place, sighting.cutout, frame
        self.hits[sighting.cutout.category] += 1
        larger = sighting.area - self.area
        self.area += (_GROWTH if larger > 0 else _SHRINKAGE) * larger
        if sighting.look is None or sighting.area < _WHOLE * self.area:
            return
        known = sighting.look if self.look is None else self.look
        self.look = unit((1 - _NEW_LOOK) * known + _NEW_LOOK * sighting.look)
