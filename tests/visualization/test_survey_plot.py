import cv2
import numpy as np
import pytest

from solo.visualization.survey_plot import LevelSettings, plot_survey


@pytest.mark.parametrize(
    ("sizes", "num_classes", "num_levels"),
    [(np.geomspace(0.5, 3000, 500), 80, 5), (np.array([12.0]), 1, 1), (np.full(9, 40.0), 3, 3)],
    ids=["many", "one", "alike"],
)
def test_a_picture_whatever_the_data(tmp_path, sizes, num_classes, num_levels):
    # Further ranges than the first lie beyond all sizes.
    ranges = [[1, 40], *([[5e3 * level, 9e3 * level] for level in range(1, num_levels)])]
    levels = LevelSettings([8] * num_levels, ranges, [0.01] * num_levels)
    plot_survey(
        tmp_path / "survey.png",
        sizes=sizes,
        objects=np.array([0, len(sizes)]),
        class_counts={f"a class with a long name {index}": index for index in range(num_classes)},
        settings={"present": levels, "proposed": levels},
    )
    picture = cv2.imread(str(tmp_path / "survey.png"))
    assert np.ptp(picture, axis=2).max() > 60, "the levels are in colour"
