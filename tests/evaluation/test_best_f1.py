"""The threshold of the best F1: the middle of those that are as good, and none where there is none."""

import math

import numpy as np
import pytest

from solo.evaluation.best_f1 import best_f1


def f1(scores, hits, objects, threshold):
    kept = scores >= threshold
    return 2 * (hits & kept).sum() / (kept.sum() + objects)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_as_good_as_the_best_but_for_two_predictions(seed):
    rng = np.random.default_rng(seed)
    scores = rng.random(400).astype(np.float32)
    hits = rng.random(400) < scores
    best = best_f1(scores, hits, 300)
    assert best.f1 == pytest.approx(f1(scores, hits, 300, best.threshold))
    most = max(f1(scores, hits, 300, step / 100) for step in range(100))
    assert best.f1 >= most * (1 - 2 / 300)


def test_of_thresholds_that_are_as_good_it_is_the_middle():
    # From 0.21 to 0.80 all that is right is kept, and nothing else.
    scores = np.array([*[0.8] * 50, *[0.2] * 50])
    assert best_f1(scores, scores > 0.5, 50) == (0.51, 1.0)


def test_one_object_decides_nothing_absurd():
    # The best one alone would be 0.96 to 0.97.
    scores, hits = np.array([0.97, 0.95]), np.array([True, False])
    assert 0.4 < best_f1(scores, hits, 1).threshold < 0.6
    assert best_f1(scores[:1], hits[:1], 1) == (pytest.approx(0.49, abs=0.01), 1.0)


def test_a_model_that_is_seldom_sure_gets_a_low_one():
    scores = np.array([*[0.06] * 50, *[0.02] * 100])
    assert 0.02 < best_f1(scores, scores > 0.05, 50).threshold <= 0.06


@pytest.mark.parametrize("count", [0, 3])
def test_without_hits_there_is_no_threshold(count):
    nothing = np.zeros(count, dtype=bool)
    threshold, score = best_f1(np.full(count, 0.5), nothing, 7)
    assert math.isnan(threshold) and score == 0
    assert all(map(math.isnan, best_f1(np.full(count, 0.5), nothing, 0)))
