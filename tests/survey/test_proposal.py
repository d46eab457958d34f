from itertools import pairwise

import numpy as np
import pytest

from solo.survey.proposal import (
    SIDES,
    choose_grids,
    enlarged_input,
    needed_growth,
    propose_ranges,
    rule_of_candidates,
)
from solo.survey.statistics import Survey
from tests.conftest import build


def make_survey(sizes, *, occupied=(), shared=(), claimed=None, frame=(256, 256)):
    sizes = np.asarray(sizes, dtype=float)
    return Survey(
        sizes=sizes,
        classes=np.zeros(len(sizes), dtype=int),
        objects=np.array([len(sizes)]),
        frames=np.array([frame]),
        claimed=claimed,
        kept=claimed,
        occupied=np.asarray(occupied),
        shared=np.asarray(shared),
    )


@pytest.mark.parametrize("num_levels", [1, 2, 3, 5])
def test_ranges_overlap_by_half_a_level_and_leave_nothing_out(num_levels):
    # Evenly in octaves from 16 to 256, so that the percentiles are known.
    sizes = 2 ** np.linspace(4, 8, 1001)
    ranges = propose_ranges(make_survey(sizes, frame=(300, 400)), num_levels)
    assert ranges[0][0] == 1 and ranges[-1][1] == 800
    level = 0.98 * 4 / num_levels
    for (_, high), (low, _) in pairwise(ranges):
        # Whole pixels, of sizes from 16 on.
        assert np.log2(high / low) == pytest.approx(level / 2, abs=0.12)


def test_ranges_of_objects_that_are_all_alike():
    ranges = propose_ranges(make_survey([30.0] * 10), 3)
    assert all(low < high for low, high in ranges)
    assert any(low <= 30 <= high for low, high in ranges)


@pytest.mark.parametrize(("size", "growth"), [(30, 1), (16, 1), (10, 1.6), (2, 2)])
def test_images_grow_until_small_objects_are_large_enough(size, growth):
    # The smallest tenth has no say.
    assert needed_growth(np.array([1.0] + 20 * [size])) == pytest.approx(growth)


def test_larger_images_are_whole_multiples(tiny_cfg):
    tiny_cfg.INPUT.MIN_SIZE_TRAIN, tiny_cfg.INPUT.MAX_SIZE_TRAIN = (400, 500), 1000
    kept = enlarged_input(tiny_cfg, 1.0)
    assert kept["MIN_SIZE_TRAIN"] == [400, 500] and kept["MAX_SIZE_TRAIN"] == 1000
    assert kept["MIN_SIZE_TEST"] == tiny_cfg.INPUT.MIN_SIZE_TEST
    larger = enlarged_input(tiny_cfg, 1.6)
    assert larger["MIN_SIZE_TRAIN"] == [640, 800] and larger["MAX_SIZE_TRAIN"] == 1600
    assert enlarged_input(tiny_cfg, 2.0)["MAX_SIZE_TRAIN"] == 2016


def test_a_fixed_size_grows_instead_of_the_edges(tiny_cfg):
    tiny_cfg.INPUT.JITTER.ENABLED = True
    tiny_cfg.INPUT.JITTER.IMAGE_SIZE = [256, 512]
    larger = enlarged_input(tiny_cfg, 1.5)
    assert larger["JITTER"] == {"IMAGE_SIZE": [384, 768]} and "MIN_SIZE_TRAIN" not in larger


def survey_of_candidates(shared_by_level, sizes_by_level):
    """Each level takes its own sizes; 1000 positive cells for each side."""
    sizes = [size for group in sizes_by_level for size in group]
    groups = np.repeat(np.arange(len(sizes_by_level)), [len(group) for group in sizes_by_level])
    claimed = np.zeros((len(sizes), len(sizes_by_level), len(SIDES)), dtype=int)
    claimed[np.arange(len(sizes)), groups] = 1
    shared = np.concatenate([1000 * np.asarray(level) for level in shared_by_level])
    return make_survey(
        sizes,
        occupied=np.full(len(shared), 1000),
        shared=shared,
        claimed=claimed.reshape(len(sizes), -1),
    )


def sides_of(candidates):
    columns = choose_grids(candidates)
    assert [column // len(SIDES) for column in columns] == list(range(len(columns)))
    return [SIDES[column % len(SIDES)] for column in columns]


def test_grids_are_the_smallest_with_few_shared_cells():
    falling = np.where(np.array(SIDES) < 20, 0.05, 0.005)
    never = np.full(len(SIDES), 0.05)
    none = np.zeros(len(SIDES))
    big = [200.0, 220.0]
    assert sides_of(survey_of_candidates([falling, none], [big, big])) == [20, 8]
    assert sides_of(survey_of_candidates([never, none], [big, big])) == [SIDES[-1], 8]
    # A level is no coarser than the one of larger objects.
    assert sides_of(survey_of_candidates([none, falling], [big, big])) == [20, 20]


def test_cells_are_no_wider_than_the_median_object():
    none = np.zeros(len(SIDES))
    # 256 / 20 = 12.8 pixels is the first side that 13 pixels are wider than.
    assert sides_of(survey_of_candidates([none, none], [[1, 13, 90], [40]])) == [20, 8]
    # A level that takes nothing.
    assert sides_of(survey_of_candidates([none, none], [[], [40]])) == [8, 8]


def test_candidates_are_all_sides_for_each_range(tiny_cfg):
    assigner = build(tiny_cfg).assigner
    rule = rule_of_candidates(assigner, [[1, 8], [6, 99]])
    assert rule.grids.sides == (*SIDES, *SIDES)
    assert rule.scale_ranges[0] == (1, 8) and rule.scale_ranges[len(SIDES)] == (6, 99)
    assert rule.sigma == assigner.sigma
