"""Models for the verbs: one that finds bright blobs, and the config of a tiny one that trains on squares."""

import pytest

from solo.cli.main import main
from tests import blobs
from tests.toys import registered, square, toy_cfg, write_config, write_records

make_picture, model, photo, video = blobs.make_picture, blobs.model, blobs.photo, blobs.video


@pytest.fixture(autouse=True)
def quiet(loggers_as_before):
    """Leave no log behind that others would write to."""


@pytest.fixture
def solo(monkeypatch, tmp_path):
    """Return a function that runs `solo` with these words, in an empty folder; it returns the status."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: main([str(word) for word in words])


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
