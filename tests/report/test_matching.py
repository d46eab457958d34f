"""Scores of an image, and the threshold of the best F1."""

import math

import numpy as np
import pytest

from solo.report.matching import best_threshold, image_score


def test_the_score_of_an_image():
    ious = np.array([[0.8, 0.0], [0.0, 0.6], [0.0, 0.0]])
    assert image_score(ious, np.array([0, 1, -1])) == pytest.approx(2 * 1.4 / 5)
    assert image_score(ious[:0], np.array([], dtype=int)) == 0
    assert math.isnan(image_score(np.zeros((0, 0)), np.array([], dtype=int)))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_has_the_largest_f1(seed):
    rng = np.random.default_rng(seed)
    scores = rng.random(40).astype(np.float32)
    hits = rng.random(40) < scores

    def f1(threshold):
        kept = scores >= threshold
        return 2 * (hits & kept).sum() / (kept.sum() + 30)

    threshold = best_threshold(scores, hits, 30)
    assert f1(threshold) == max(f1(step / 100) for step in range(100))


def test_the_threshold_without_predictions():
    assert best_threshold(np.zeros(0), np.zeros(0, dtype=bool), 3) == 0
