"""Six images of squares from 6 to 40 pixels, some of which share cells."""

import pytest

from tests.toys import registered, square, toy_cfg, write_records


@pytest.fixture
def records(tmp_path):
    images = [
        [square(4, 4, 6), square(30, 8, 40 - 2 * index, index % 3), square(5, 30, 10)]
        for index in range(6)
    ]
    return write_records(tmp_path, images)


@pytest.fixture
def cfg(records):
    with registered(records) as name:
        yield toy_cfg(name)
