"""Wheels written by hand are what pip takes them for."""

import subprocess
import sys
from importlib import metadata

from solo.environment.wheels import write_wheel


def test_pip_installs_it(tmp_path):
    wheel = write_wheel(
        *(tmp_path, "two-words", "1.0+here", "A toy"),
        requires=["numpy>=1", "pillow"],
        files={"two_words/__init__.py": b"answer = 42\n"},
    )
    assert wheel.name == "two_words-1.0+here-py3-none-any.whl"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target"]
    subprocess.run([*command, tmp_path / "site", wheel], check=True, capture_output=True)
    (found,) = metadata.distributions(name="two-words", path=[str(tmp_path / "site")])
    assert found.version == "1.0+here" and found.metadata["Summary"] == "A toy"
    assert found.requires == ["numpy>=1", "pillow"]
    assert (tmp_path / "site/two_words/__init__.py").read_text() == "answer = 42\n"
