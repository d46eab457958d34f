from hypothesis import given
from hypothesis import strategies as st

from solo.structures.box import Box


@st.composite
def boxes(draw):
    left, top = draw(st.integers(-9, 9)), draw(st.integers(-9, 9))
    return Box(left, top, left + draw(st.integers(1, 9)), top + draw(st.integers(1, 9)))


def pixels(box):
    rows, columns = (range(side.start, side.stop) for side in box.slices)
    return {(row, column) for row in rows for column in columns}


@given(boxes(), boxes(), st.integers(-9, 9), st.integers(-9, 9))
def test_boxes_are_their_pixels(one, other, x, y):
    assert pixels(one.moved(x, y)) == {(row + y, column + x) for row, column in pixels(one)}
    common, both = one.common(other), pixels(one) & pixels(other)
    assert pixels(common) == both
    assert one.shared(other) == (common if both else None)
    assert one.holds(other) == (pixels(other) <= pixels(one))


def test_growing_adds_a_rim():
    assert Box(3, 4, 5, 6).grown(2) == Box(1, 2, 7, 8)
