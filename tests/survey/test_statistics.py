"""Numbers by hand: 64 x 64 images, a grid of 8 x 8 cells of 8 pixels, and one of 4 x 4 of 16."""

from dataclasses import replace

import numpy as np
import pytest

from solo.modeling.grids import Grids
from solo.modeling.targets import TargetAssigner
from solo.survey.seen_images import SeenImage
from solo.survey.statistics import take_survey
from tests.conftest import rectangles

# With sigma 0 an object claims the cell of its centre only.
RULE = TargetAssigner(
    grids=Grids([8, 4]),
    scale_ranges=((1, 16), (10, 32)),
    sigma=0.0,
    center_radius=1,
    collisions="all",
    num_classes=3,
)
TRUTHS = [
    # Sizes 8, 12 and 40: on the first level, on both, on none.
    rectangles((64, 64), [(1, 1, 9, 9), (33, 33, 45, 45), (10, 10, 50, 50)], [0, 1, 2]),
    # Two in one cell of the first level, and an image without objects.
    rectangles((64, 64), [(1, 1, 9, 9), (2, 2, 8, 8)], [0, 0]),
    rectangles((60, 33), [], []),
]


def as_seen(truth):
    truth.gt_masks = truth.gt_masks.tensor
    return SeenImage({}, truth, (64, 64))


IMAGES = [as_seen(truth) for truth in TRUTHS]


def test_counts_by_hand():
    survey = take_survey(IMAGES, RULE)
    np.testing.assert_allclose(survey.sizes, [8, 12, 40, 8, 6])
    assert survey.classes.tolist() == [0, 1, 2, 0, 0]
    assert survey.objects.tolist() == [3, 2, 0]
    assert survey.frames.tolist() == [[64, 64], [64, 64], [64, 64]]
    assert survey.claimed.tolist() == [[1, 0], [1, 1], [0, 0], [1, 0], [1, 0]]
    assert survey.occupied.tolist() == [3, 1]
    assert survey.shared.tolist() == [1, 0]
    assert survey.out_of_range == survey.without_cell == 1 / 5
    assert survey.lost == 0
    assert survey.objects_by_level.tolist() == [4, 1]
    np.testing.assert_allclose(survey.shared_by_level, [1 / 3, 0])


def test_what_the_policy_takes_away():
    survey = take_survey(IMAGES, replace(RULE, collisions="last"))
    assert survey.kept.tolist() == [[1, 0], [1, 1], [0, 0], [0, 0], [1, 0]]
    assert survey.out_of_range == 1 / 5 and survey.without_cell == 2 / 5
    assert survey.lost == pytest.approx(1 / 5)
    # Claims do not depend on it.
    assert survey.shared.tolist() == [1, 0]


def test_no_level_takes_any():
    survey = take_survey(IMAGES, replace(RULE, scale_ranges=((100, 200), (100, 200))))
    assert survey.out_of_range == survey.without_cell == 1
    assert survey.lost == 0 and survey.shared_by_level.tolist() == [0, 0]


def test_no_objects_are_an_error():
    with pytest.raises(ValueError, match="None of the 1 images"):
        take_survey(IMAGES[2:], RULE)


def test_a_survey_of_some_levels_is_that_of_a_rule_with_only_these():
    both = take_survey(IMAGES, replace(RULE, collisions="smallest"))
    second = replace(
        RULE, collisions="smallest", grids=Grids([4]), scale_ranges=RULE.scale_ranges[1:]
    )
    for name, expected in vars(take_survey(IMAGES, second)).items():
        np.testing.assert_array_equal(getattr(both.of_levels([1]), name), expected, err_msg=name)
