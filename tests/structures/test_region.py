import numpy as np
from detectron2.structures.masks import polygons_to_bitmask
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from solo.structures.box import Box
from solo.structures.region import Region, region_of_mask, region_of_polygons

SIZE = 20, 24


def full(region, size=SIZE):
    mask = np.zeros(size, bool)
    if region is not None:
        mask[region.box.slices] = region.pixels
    return mask


def assert_tight(region):
    assert region.pixels[0].any() and region.pixels[-1].any()
    assert region.pixels[:, 0].any() and region.pixels[:, -1].any()


# One decimal: half-way between the fifths of a pixel that pycocotools rounds to.
coordinates = st.one_of(
    st.integers(-150, 390).map(lambda tenths: tenths / 10), st.floats(-60, 90, width=32)
)
polygons = st.lists(st.lists(coordinates, min_size=6, max_size=12), min_size=1, max_size=3)
masks = arrays(bool, SIZE, elements=st.booleans())


@settings(max_examples=300, deadline=None)
@given(polygons)
def test_polygons_are_drawn_as_detectron2_draws_them(polygons):
    polygons = [np.array(p[: len(p) // 2 * 2], dtype=np.float64) for p in polygons]
    region = region_of_polygons([p.reshape(-1, 2) for p in polygons], *SIZE)
    assert np.array_equal(full(region), polygons_to_bitmask(polygons, *SIZE))
    if region:
        assert_tight(region)


@settings(max_examples=50, deadline=None)
@given(masks, masks, st.integers(-30, 30), st.integers(-30, 30))
def test_moving_and_covering_equal_those_of_whole_masks(mask, other, x, y):
    region, cover = region_of_mask(mask), region_of_mask(other)
    window = Box(3, 2, 17, 19)
    expected = np.zeros(SIZE, bool)
    for row, column in np.argwhere(mask):
        if 2 <= row + y < 19 and 3 <= column + x < 17:
            expected[row + y, column + x] = True
    moved = region and region.moved(x, y).within(window)
    assert np.array_equal(full(moved), expected)
    if moved:
        assert_tight(moved)
    if region and cover:
        left = region.without(cover)
        assert np.array_equal(full(left), mask & ~other)
        assert np.array_equal(full(region), mask)  # stays as it was
        if left:
            assert_tight(left)


def test_nothing_is_none():
    assert region_of_mask(np.zeros(SIZE, bool)) is None
    assert region_of_polygons([], *SIZE) is None
    assert region_of_polygons([np.array([[30.0, 3], [40, 3], [40, 9]])], *SIZE) is None
    assert Region(2, 3, np.ones((4, 4), bool)).within(Box(6, 0, 9, 9)) is None
