"""What is shown and right from each threshold on, and by class."""

import numpy as np
import pytest

from solo.report.thresholds import Pooled, over_threshold


def test_counts_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    scores = rng.random(60).astype(np.float32)
    hits = rng.random(60) < scores
    curve = over_threshold(Pooled(scores, hits, np.zeros(60, dtype=int), np.zeros(50, dtype=int)))
    for step in (0, 7, 50, 99):
        shown = scores >= step / 100
        right = (shown & hits).sum()
        assert (curve.shown[step], curve.found[step]) == (shown.sum(), right)
        assert curve.recall[step] == right / 50
        assert curve.f1[step] == 2 * right / (shown.sum() + 50)
        if shown.any():
            assert curve.precision[step] == right / shown.sum()
    assert curve.f1[round(100 * curve.best)] == pytest.approx(curve.f1.max(), abs=0.02)


def test_nothing_shown_and_nothing_to_find():
    none = np.zeros(0, dtype=int)
    curve = over_threshold(Pooled(np.zeros(0), none.astype(bool), none, none))
    assert np.isnan(curve.precision).all() and np.isnan(curve.recall).all()
    assert not curve.f1.any() and np.isnan(curve.best)


def test_a_class_alone():
    pooled = Pooled(
        np.array([0.9, 0.8, 0.3]), np.array([True, False, True]), np.array([1, 0, 1]), [0, 1, 1]
    )
    curve = over_threshold(pooled._replace(objects=np.array(pooled.objects)).of_class(1))
    assert (curve.shown[50], curve.found[50], curve.objects) == (1, 1, 2)
