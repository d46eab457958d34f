"""An environment of its own, empty but for Python, and a folder in place of a package index."""

import os
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Environment:
    """A virtual environment without pip."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"
        (self.site,) = folder.glob("lib/python*/site-packages")
        self.index = folder / "index"
        self.index.mkdir()
        self.variables = {
            "PATH": str(folder / "bin"),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "UV_NO_INDEX": "1",
            "UV_FIND_LINKS": str(self.index),
        }

    def put(self, wheel: Path) -> None:
        """Install a wheel of pure Python: it is a zip file."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.site)

    def run(self, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run lines that may import this solo, which looks for no detectron2 then."""
        return self.call(
            "-c", f"import sys; sys.argv[0] = 'solo'\n{code}", PYTHONPATH=str(ROOT), **variables
        )

    def call(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its Python."""
        dropped = ("PYTHONPATH", "PIP_", "UV")
        outside = {name: text for name, text in os.environ.items() if not name.startswith(dropped)}
        environment = {**outside, **self.variables, **variables}
        command = [str(self.python), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "venv")
