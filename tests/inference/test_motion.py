"""Objects that move steadily, are half hidden, and are lost from sight."""

import numpy as np
import pytest

from solo.inference.motion import Motion, whole_middles
from solo.structures.box import Box

STILL = np.zeros(2)


def moving(steps, velocity=(3, -2)):
    motion = Motion(Box(100, 100, 120, 140))
    for step in range(1, steps):
        motion.step(STILL)
        motion.see(Box(100, 100, 120, 140).moved(step * velocity[0], step * velocity[1]))
    return motion


def test_a_steady_velocity_is_learnt_and_goes_on_out_of_sight():
    motion = moving(20)
    np.testing.assert_allclose(motion.velocity, (3, -2), atol=0.05)
    before = motion.spread
    for _ in range(10):
        motion.step(STILL)
    np.testing.assert_allclose(motion.place, (110 + 29 * 3, 120 - 29 * 2), atol=0.7)
    assert motion.spread > 2 * before  # and the longer, the less sure
    assert motion.size.tolist() == [20, 40] and motion.scale == pytest.approx(800**0.5)


def test_the_camera_moves_all():
    motion = moving(1)
    motion.step(np.array([7.0, -4.0]))
    assert motion.place.tolist() == [117, 116] and motion.velocity.tolist() == [0, 0]


def test_a_hidden_side_does_not_count():
    motion = moving(20)
    motion.step(STILL)
    # What is in view is the left quarter of where it should be.
    left = motion.place[0] - 10
    motion.see(Box(round(left), *np.rint(motion.place - 20).astype(int)[1:], round(left) + 5, 102))
    assert abs(motion.place[0] - (110 + 20 * 3)) < 1
    np.testing.assert_allclose(motion.velocity[0], 3, atol=0.1)


def test_middles_of_whole_objects():
    motion = Motion(Box(0, 0, 20, 20))
    boxes = np.array([[12, 0, 20, 20], [30, 0, 38, 20], [5, 5, 9, 9], [0, 0, 40, 20]])
    middles = whole_middles([motion], boxes)
    # Its right part; a part so far away that its right side must be the left of it; a part within; more than all.
    assert middles.tolist() == [[[10, 10], [28, 10], [10, 10], [20, 10]]]
    assert whole_middles([], boxes).shape == (0, 4, 2)
