"""The doors in demo/, on a model that finds bright blobs."""

import importlib.util
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests import blobs

make_picture, model, photo, video = blobs.make_picture, blobs.model, blobs.photo, blobs.video
DEMO = Path(__file__).resolve().parents[2] / "demo"


def import_script(name):
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with mock.patch.object(sys, "path", list(sys.path)):
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def app():
    """Import demo/app.py, which is a script."""
    return import_script("app")


@pytest.fixture(scope="session")
def demo():
    """Import demo/demo.py, which is a script."""
    return import_script("demo")


@pytest.fixture
def run(demo, model, monkeypatch, tmp_path):
    """Run the demo in an empty folder; return its exit status."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: demo.main([*model, *map(str, arguments)])
