"""A registered data set of squares, and the config file of a tiny model that trains on it."""

import pytest

from tests.toys import registered, square, toy_cfg, write_config, write_records


@pytest.fixture
def toy_config(tmp_path):
    images = [[square(4, 4, 6), square(20, 8, 30 - index, index % 3)] for index in range(4)]
    with registered(write_records(tmp_path, images)) as name:
        yield write_config(toy_cfg(name), tmp_path)


@pytest.fixture
def empty_config(tmp_path):
    """The same without a single object."""
    with registered(write_records(tmp_path, [[], []])) as name:
        yield write_config(toy_cfg(name), tmp_path)
