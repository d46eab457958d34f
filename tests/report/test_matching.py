"""Scores of an image."""

import math

import numpy as np
import pytest

from solo.report.matching import image_score


def test_the_score_of_an_image():
    ious = np.array([[0.8, 0.0], [0.0, 0.6], [0.0, 0.0]])
    assert image_score(ious, np.array([0, 1, -1])) == pytest.approx(2 * 1.4 / 5)
    assert image_score(ious[:0], np.array([], dtype=int)) == 0
    assert math.isnan(image_score(np.zeros((0, 0)), np.array([], dtype=int)))
