"""The verbs, on a model that finds bright blobs."""

import pytest

from solo.cli.main import main
from tests import blobs

make_picture, model, photo, video = blobs.make_picture, blobs.model, blobs.photo, blobs.video


@pytest.fixture
def solo(monkeypatch, tmp_path):
    """Return a function that runs `solo` with these words, in an empty folder; it returns the status."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: main([str(word) for word in words])
