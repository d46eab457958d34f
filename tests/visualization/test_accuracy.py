"""Plots of accuracy: that they are written for any number of classes, and the AP beside them."""

import cv2
import numpy as np
import pytest

from solo.visualization.accuracy import class_aps, plot_over_threshold, plot_precision_recall


def precisions(num_classes):
    curve = np.linspace(1, 0, 101)[None, :, None]
    return np.tile(curve, (10, 1, num_classes))


def test_aps_are_means_over_recall():
    precision = precisions(3)
    precision[:, :, 1] = -1
    np.testing.assert_allclose(class_aps(precision), [[0.5, np.nan, 0.5]] * 10)


@pytest.mark.parametrize("num_classes", [1, 4, 80])
def test_any_number_of_classes(tmp_path, num_classes):
    precision = precisions(num_classes)
    if num_classes > 1:
        precision[:, :, 0] = -1
    plot_precision_recall(precision, [r"$\no$"], tmp_path / "plots" / "curves.png")
    height, width = cv2.imread(str(tmp_path / "plots" / "curves.png")).shape[:2]
    # Panels of 3.25 inches at 130 dots: one, four, and four in each of three rows.
    assert width == round(3.25 * 130 * min(num_classes, 4)) and (height > width / 2) == (
        num_classes != 4
    )


def test_over_the_threshold(tmp_path):
    thresholds = np.arange(100) / 100
    precision = np.where(thresholds > 0.9, np.nan, thresholds)
    plot_over_threshold(thresholds, precision, 1 - thresholds, thresholds * 0, 0.5, tmp_path / "f1")
    assert np.ptp(cv2.imread(str(tmp_path / "f1.png")), axis=2).max() > 60, "curves in colour"


@pytest.mark.parametrize(("best", "said"), [(np.nan, False), (0.3, True)])
def test_where_nothing_is_found_no_best_is_said(tmp_path, best, said):
    nothing = np.zeros(100)
    plot_over_threshold(np.arange(100) / 100, nothing, nothing, nothing, best, tmp_path / "f1")
    picture = cv2.imread(str(tmp_path / "f1.png"))
    # Its words are at the right of the top; all lines are at the bottom, the legend is at the left.
    quarter = picture[: picture.shape[0] // 2, picture.shape[1] // 2 :]
    assert (quarter.max(axis=2) < 120).any() == said
