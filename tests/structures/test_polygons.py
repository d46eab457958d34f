import resource

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from solo.structures.polygons import clip_polygon, draw_polygons

SIZE = (60, 80)


def drawn(*polygons):
    return coco_mask.decode(draw_polygons([np.array(p, dtype=np.float64) for p in polygons], SIZE))


def test_inside_and_a_little_outside_they_are_drawn_as_pycocotools_does():
    rng = np.random.default_rng(0)
    for _ in range(50):
        polygons = [rng.uniform(-40, 120, 2 * rng.integers(3, 40)) for _ in range(2)]
        theirs = coco_mask.merge(coco_mask.frPyObjects(polygons, *SIZE))
        assert np.array_equal(drawn(*polygons), coco_mask.decode(theirs))


@pytest.mark.parametrize("far", [3e6, 3e8, 2**31 - 1])
def test_a_corner_far_outside_is_cut_off_in_bounded_memory(far):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mask = drawn([10, 10, far, 10, far, 50, 10, 50])
    assert np.array_equal(mask, drawn([10, 10, 500, 10, 500, 50, 10, 50]))
    # One slanted side: a line through the frame, whose end does not matter.
    slanted = drawn([0, 0, far, far / 2, far, 0])
    assert np.array_equal(slanted, drawn([0, 0, 800, 400, 800, 0]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "KB"


def test_nothing_is_drawn_of_what_lies_far_outside():
    assert not drawn([1e8, 1e8, 2e8, 1e8, 2e8, 2e8]).any()
    assert not drawn().any()


def test_a_scribble_is_drawn_in_bounded_memory():
    """Pycocotools would take more than ten gigabytes."""
    sides = np.tile([-1e6, 10, 1e6, 12, 1e6, 50, -1e6, 48], 200)
    corners = np.concatenate([sides] * 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    drawn(corners)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000, "KB"


def test_clipping_keeps_what_is_inside():
    triangle = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    cut = clip_polygon(triangle, (0, 0), (5, 100))
    assert sorted(map(tuple, cut.tolist())) == [(0, 0), (0, 10), (5, 0), (5, 5)]
    assert len(clip_polygon(triangle, (20, 20), (30, 30))) == 0
    assert np.array_equal(clip_polygon(triangle, (-1, -1), (11, 11)), triangle)
