"""Which archive of detectron2 is taken, with pip and a folder in place of an index, and what becomes of it."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile

import pytest

from solo.environment import detectron2 as bringing
from solo.environment.installer import InstallError


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


def test_another_archive_is_refused_before_anything_of_it_runs(trace, tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    with pytest.raises(InstallError, match=r"another file.*It was not run"):
        bringing.download(folder)
    assert not trace.exists() and not list(folder.glob("*.tar.gz"))


def test_the_archive_of_the_hash_is_taken(trace, tmp_path, monkeypatch):
    (archive,) = (tmp_path / "index").iterdir()
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(bringing, "SOURCE_SHA256", digest)
    folder = tmp_path / "download"
    folder.mkdir()
    bringing.download(folder)
    assert (folder / archive.name).read_bytes() == archive.read_bytes()
    # It is as dangerous as the test above believes.
    assert trace.exists()


SOURCES = {
    "LICENSE": "Apache",
    "detectron2/__init__.py": '__version__ = "0.6"\nimport numpy as np\nKIND = np.bool\n',
    "detectron2/layers/__init__.py": "from detectron2 import _C\n",
    "detectron2/model_zoo/configs/Base.yaml": "VERSION: 2",
    "projects/PointRend/point_rend/__init__.py": "",
    "projects/PointRend/setup.py": "raise RuntimeError('it was run')",
    "setup.py": "raise RuntimeError('it was run')",
}


def test_sources_become_a_wheel_without_being_run(tmp_path):
    with tarfile.open(tmp_path / "pb1-detectron2-0.6.tar.gz", "w:gz") as archive:
        for name, text in SOURCES.items():
            member = tarfile.TarInfo(f"pb1-detectron2-0.6/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    source = bringing.unpack(tmp_path)
    bringing.repair(source)
    wheel = bringing.build(source, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import detectron2, detectron2.layers, detectron2.projects.point_rend\n"
        "assert detectron2.KIND is bool\n"
        "detectron2.layers._C.nms(1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("NotImplementedError: detectron2._C.nms needs a")
    assert (tmp_path / "site/detectron2/model_zoo/configs/Base.yaml").read_text() == "VERSION: 2"
    assert not list((tmp_path / "site").rglob("setup.py"))
