"""Prediction by two workers of Ray, of which one is killed, beside one process."""

import importlib
import json
import logging
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import pytest
import torch

from solo.errors import MissingPackageError, UserError
from solo.inference import Predictor
from tests.export.conftest import blobs, lively_cfg, lively_model
from tests.mortal import MARK, Mortal

pytest.importorskip("ray.data", reason="the extra `ray` is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
parquet_files = pytest.importorskip("solo.inference.parquet_files")
at_scale = pytest.importorskip("solo.inference.ray")

# Ray starts in seconds on a free machine.
_MOST_SECONDS = 600


@pytest.fixture
def ray_folder(monkeypatch):
    """Have Ray keep its files where they are removed, and end what hangs; names of sockets have to be short."""

    def end(*_):
        raise TimeoutError("Ray hangs.")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(_MOST_SECONDS)
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        # Workers look for tests/mortal.py.
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Write 24 images, one file that is none, and a model; return its config and weights."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for index in range(24):
        cv2.imwrite(f"photos/{index:02}.png", blobs(48 + index, 90 - index, index))
    Path("photos/99.png").write_bytes(b"no image")
    cfg = lively_cfg("SOLOv2")
    content = {"model": lively_model(cfg).state_dict(), "class_names": ["a", "b", "c"]}
    torch.save(content, "model.pth")
    Path("config.yaml").write_text(cfg.dump())
    return "config.yaml", "model.pth"


def of_one_process(files):
    """Return what `solo predict --json` writes, of one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    predictor = Predictor.from_config(*files, device="cpu")
    paths = [str(path) for path in sorted(Path("photos").glob("[0-2]*.png"))]
    records = [
        {"file_name": path, **record}
        for path in paths
        for record in predictor.to_dicts(predictor(path, threshold=0.05))
    ]
    torch.set_num_threads(threads)
    assert len({record["file_name"] for record in records}) > 12
    return json.dumps(records)


def rows_of(folder):
    """Return the column `path` of all files."""
    parts = parquet_files.parts_of(Path(folder))
    return [path for part in parts for path in parquet.read_table(part)["path"].to_pylist()]


@pytest.mark.slow
def test_a_worker_is_killed_and_nothing_is_lost_or_done_twice(photos, ray_folder):
    opened = partial(Mortal.from_config, *photos, device="cpu")
    call = partial(at_scale.predict_files, output="found", open_model=opened, threshold=0.05)
    outcome = call(["photos"], workers=2)
    assert Path(MARK).exists()
    assert outcome[:3] == (25, 0, 0)
    (problem,) = outcome.problems
    assert problem.startswith("photos/99.png: cannot be read as an image")
    assert at_scale.write_coco_json("found", "found.json") == (25, outcome.num_objects, 1)
    assert Path("found.json").read_text() == of_one_process(photos)
    rows = rows_of("found")
    assert len(rows) == len(set(rows)) == 25

    # Called again: what is missing is done, and nothing else.
    lost, *kept = parquet_files.parts_of(Path("found"))
    num_lost = len(parquet.read_table(lost))
    lost.unlink()
    cv2.imwrite("photos/25.png", blobs(50, 50, 50))
    Path("more.csv").write_text("path\nphotos/00.png\nphotos/25.png\n")
    before = [part.stat().st_mtime_ns for part in kept]
    assert call(["photos/*.png", "more.csv"], workers=1)[:3] == (26, 25 - num_lost, 0)
    assert [part.stat().st_mtime_ns for part in kept] == before
    at_scale.write_coco_json("found", "found.json")
    assert Path("found.json").read_text() == of_one_process(photos)
    assert sorted(rows_of("found")) == sorted([*rows, "photos/25.png"])


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"images_per_file": 0}])
def test_less_than_one_is_refused(tmp_path, wrong):
    with pytest.raises(UserError, match="1 worker at least"):
        at_scale.predict_files(["a.png"], tmp_path / "found", Predictor, **wrong)


def test_where_nothing_is_to_do_no_ray_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(at_scale.ray, "init", None)
    problems = at_scale.predict_files([tmp_path / "a.png"], tmp_path / "found", Predictor).problems
    assert problems == [f"{tmp_path}/a.png: no such file or folder."]


def test_a_name_that_is_not_utf_8_is_a_problem(tmp_path):
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    outcome = at_scale.predict_files([tmp_path], tmp_path / "found", Predictor)
    (problem,) = outcome.problems
    assert "\\udcff.png: no name in UTF-8" in problem and outcome.paths == []


@pytest.mark.parametrize("is_of_python", [True, False])
def test_where_ray_does_not_start_all_is_as_before(tmp_path, monkeypatch, is_of_python):
    def init(**_):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        monkeypatch.setattr(signal, "getsignal", real)
        if is_of_python:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise OSError("no room")

    real, handler = signal.getsignal, logging.StreamHandler()
    if not is_of_python:  # Python does not know it
        monkeypatch.setattr(signal, "getsignal", lambda _: None)
    monkeypatch.setattr(at_scale.ray, "init", init)
    for name in ("RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    logging.getLogger("ray.data").addHandler(handler)
    cv2.imwrite(str(tmp_path / "a.png"), blobs(48, 48, 0))
    before = dict(os.environ), real(signal.SIGTERM)
    try:
        with pytest.raises(OSError, match="no room"):
            at_scale.predict_files([tmp_path / "a.png"], tmp_path / "found", Predictor)
    finally:
        logging.getLogger("ray.data").removeHandler(handler)
    assert (dict(os.environ), real(signal.SIGTERM)) == before
    assert handler.level == logging.NOTSET


@pytest.mark.parametrize("package", ["ray", "pyarrow"])
def test_what_is_not_installed_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("ray", "parquet_files"):
        monkeypatch.delitem(sys.modules, f"solo.inference.{name}")
    with pytest.raises(MissingPackageError, match=r'run `pip install "ray\[data\]"`'):
        importlib.import_module("solo.inference.ray")
