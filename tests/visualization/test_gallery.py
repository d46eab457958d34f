import numpy as np
import pytest

from solo.visualization.gallery import Panel, gallery


def colored(color, height=20, width=80):
    return np.full((height, width, 3), color, dtype=np.uint8)


def places(sheet, color):
    """Return the first row and column of a colour, and the height and width that it spans."""
    rows, columns = np.nonzero((sheet == color).all(axis=2))
    return rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1


def test_panels_stand_in_rows_of_the_height_of_the_largest():
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    panels = [
        Panel(colored(color, height)) for color, height in zip(colors, (20, 50, 30), strict=True)
    ]
    sheet = gallery(panels, 2)
    first, second, third = (places(sheet, color) for color in colors)
    assert first[0] == second[0] and third[0] >= first[0] + 50
    assert first[1] == third[1] and second[1] >= first[1] + 80
    assert [place[2:] for place in (first, second, third)] == [(20, 80), (50, 80), (30, 80)]


def test_captions_stand_above_and_do_not_leave_their_column():
    plain = gallery([Panel(colored(0))], 1)
    titled = gallery([Panel(colored((9, 9, 200)), ["a name that is much too long", "x"])], 1)
    assert titled.shape[1] == plain.shape[1]
    top, left, _, width = places(titled, (9, 9, 200))
    assert titled.shape[0] > plain.shape[0]
    inked = np.nonzero((titled[:top] < 200).any(axis=(0, 2)))[0]
    assert left <= inked.min() and inked.max() < left + width


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        gallery([], 3)
