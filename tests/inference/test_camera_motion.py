"""Pictures that move as a whole, with objects in them that move otherwise."""

import cv2
import numpy as np

from solo.inference.camera_motion import CameraMotion
from solo.structures.cutouts import Cutout


def texture(size=(300, 400)):
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def view(left, top, square=None):
    picture = texture()[top : top + 120, left : left + 200].copy()
    if square:
        x, y = square
        picture[y : y + 50, x : x + 50] = texture((50, 50)) // 2
    return picture


def cutout(square):
    return [Cutout(np.ones((50, 50), dtype=np.uint8), *square, row=0, category=0, score=1.0)]


def test_the_shift_of_the_background():
    camera = CameraMotion()
    assert camera.shift(view(50, 60, (20, 20)), cutout((20, 20))).tolist() == [0, 0]  # the first
    # The view moves left and down: the picture moves right and up.
    shift = camera.shift(view(43, 65, (40, 30)), cutout((40, 30)))
    np.testing.assert_allclose(shift, (7, -5), atol=0.2)


def test_objects_are_no_camera():
    camera = CameraMotion()
    for step in range(3):
        square = (20 + 8 * step, 20)
        shift = camera.shift(view(50, 60, square), cutout(square))
    np.testing.assert_allclose(shift, (0, 0), atol=0.05)


def test_of_large_pictures():
    large = [cv2.resize(view(left, 60), None, fx=4, fy=4) for left in (50, 46)]
    camera = CameraMotion()
    camera.shift(large[0], [])
    np.testing.assert_allclose(camera.shift(large[1], []), (16, 0), atol=0.8)


def test_nothing_to_go_by():
    plain = np.full((60, 80, 3), 100, dtype=np.uint8)
    camera = CameraMotion()
    for picture in (plain, plain, view(0, 0), plain[:1], plain[:1, :1]):
        assert camera.shift(picture, []).tolist() == [0, 0]
