"""The script that installs detectron2: which archive it takes, with pip and a folder in place of an index."""

import hashlib
import importlib.util
import io
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dev" / "install_detectron2.py"


@pytest.fixture
def install():
    spec = importlib.util.spec_from_file_location("install_detectron2", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """What the setup.py of the archive writes if it is run; pip finds that archive only."""
    trace, index = tmp_path / "trace", tmp_path / "index"
    index.mkdir()
    setup = (
        f"open({str(trace)!r}, 'w').close()\n"
        "from setuptools import setup\n"
        "setup(name='pb1-detectron2', version='0.6')\n"
    ).encode()
    with tarfile.open(index / "pb1-detectron2-0.6.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("pb1-detectron2-0.6/setup.py")
        member.size = len(setup)
        archive.addfile(member, io.BytesIO(setup))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return trace


def test_another_archive_is_refused_before_anything_of_it_runs(install, trace, tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    with pytest.raises(install.InstallError, match=r"another file.*It was not run"):
        install.download(folder)
    assert not trace.exists() and not list(folder.glob("*.tar.gz"))


def test_the_archive_of_the_hash_is_taken(install, trace, tmp_path, monkeypatch):
    (archive,) = (tmp_path / "index").iterdir()
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(install, "SOURCE_SHA256", digest)
    folder = tmp_path / "download"
    folder.mkdir()
    install.download(folder)
    assert (folder / archive.name).read_bytes() == archive.read_bytes()
    # It is as dangerous as the test above believes.
    assert trace.exists()
