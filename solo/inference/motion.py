"""Where the objects of a video are, and how they move: a Kalman filter of constant velocity for each.

Places are the middles of whole objects: a side that something hides does not count. Legend: t objects,
n boxes; all in pixels, velocities in pixels a frame.
"""

from collections.abc import Sequence

import numpy as np

from solo.structures.box import Box

# Standard deviations in shares of an object's size: of its place as it is measured, of the change of its
# velocity from a frame to the next, and of its velocity when it is seen for the first time.
_JITTER, _CHANGE, _FIRST_VELOCITY = 0.05, 0.01, 0.2
# Shares by which the usual size follows that of a larger and of a smaller box: what is smaller is often half hidden.
_GROWTH, _SHRINKAGE = 0.5, 0.05


class Motion:
    """How one object moves, alike in x and y.

    Attributes:
        place: Its middle, (2,) x and y.
        velocity: (2,) in x and y.
        size: Its usual width and height, (2,).
    """

    def __init__(self, box: Box) -> None:
        """Begin where an object is seen for the first time."""
        self.place, self.size = _middle_and_size(box)
        self.velocity = np.zeros(2)
        # Variances of place and velocity, and their covariance, of each axis.
        self._place_var = (_JITTER * self.scale) ** 2
        self._velocity_var = (_FIRST_VELOCITY * self.scale) ** 2
        self._covariance = 0.0

    @property
    def scale(self) -> float:
        """The side of a square of its size."""
        return float(np.sqrt(self.size.prod()))

    @property
    def spread(self) -> float:
        """The standard deviation of its place, along one axis."""
        return float(np.sqrt(self._place_var))

    def step(self, shift: np.ndarray) -> None:
        """Go on to the next frame, in which all has moved by `shift`, (2,) x and y, with the camera."""
        self.place = self.place + self.velocity + shift
        change = (_CHANGE * self.scale) ** 2
        self._place_var += 2 * self._covariance + self._velocity_var + change / 4
        self._covariance += self._velocity_var + change / 2
        self._velocity_var += change

    def see(self, box: Box) -> None:
        """Correct place, velocity and size by the bounds of what is seen of the object."""
        (error,) = whole_middles([self], np.array([box]))[0] - self.place
        seen_var = self._place_var + (_JITTER * self.scale) ** 2
        gain, velocity_gain = self._place_var / seen_var, self._covariance / seen_var
        self.place = self.place + gain * error
        self.velocity = self.velocity + velocity_gain * error
        self._velocity_var -= velocity_gain * self._covariance
        self._covariance *= 1 - gain
        self._place_var *= 1 - gain
        larger = _middle_and_size(box)[1] - self.size
        self.size = self.size + np.where(larger > 0, _GROWTH, _SHRINKAGE) * larger


def whole_middles(motions: Sequence[Motion], boxes: np.ndarray) -> np.ndarray:
    """Return where the middles of objects would be if boxes show them, as a whole or in part.

    A box that is smaller than its object leaves room: of the middles for which the object covers the
    box, the one nearest to where the object is expected is taken.

    Args:
        motions: Of t objects.
        boxes: (n, 4) left, top, right, bottom.

    Returns:
        (t, n, 2) x and y.
    """
    place = np.array([motion.place for motion in motions]).reshape(-1, 1, 2)
    half = np.array([motion.size for motion in motions]).reshape(-1, 1, 2) / 2
    low, high = boxes[:, :2], boxes[:, 2:]
    least, most = high - half, low + half
    return np.where(least < most, np.clip(place, least, most), (low + high) / 2)


def _middle_and_size(box: Box) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.array(box[:2], dtype=float), np.array(box[2:], dtype=float)
    return (low + high) / 2, high - low
