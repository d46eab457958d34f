"""One worker, without Ray: what it reports, and what it refuses."""

from functools import partial
from pathlib import Path

import cv2
import pytest
import torch

from solo.inference import Predictor
from solo.inference.opening import open_predictor
from tests import blobs

pyarrow = pytest.importorskip("pyarrow", reason="the extra `ray` is not installed")
parquet_files = pytest.importorskip("solo.inference.parquet_files")
ray_worker = pytest.importorskip("solo.inference.ray_worker")

make_picture, model, photo = blobs.make_picture, blobs.model, blobs.photo


@pytest.fixture(autouse=True)
def as_before(monkeypatch, tmp_path):
    """Undo what a worker does to its process."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])


@pytest.fixture
def job(model, tmp_path):
    (tmp_path / "found").mkdir()
    opened = partial(open_predictor, model[1], model[3], device="cpu")
    return ray_worker.Job(opened, str(tmp_path / "found"), str(tmp_path), 1, 0.4, ())


def report_of(job, *paths):
    (report,) = ray_worker.PartWorker(job)(pyarrow.table({"paths": [paths]})).to_pylist()
    return report


def test_what_is_found_and_what_is_no_image(job, photo, tmp_path):
    photo("a.png", blobs=3)
    (tmp_path / "b.png").write_bytes(b"broken")
    report = report_of(job, "a.png", "b.png", "c.png")
    first, second = report.pop("problems")
    assert first.startswith("b.png: cannot be read as an image")
    assert second.startswith("c.png: cannot be read as an image (No such file")
    assert report == {"images": 3, "objects": 2, "mistake": None}  # of 1, 1/2 and 1/3
    assert parquet_files.paths_in(Path(job.output)) == {"a.png", "b.png", "c.png"}
    assert torch.get_num_threads() == cv2.getNumThreads() == 1


class Failing(Predictor):
    """Has a fault of the program with one image."""

    def __call__(self, image, **threshold):
        if image == "a.png":
            raise RuntimeError("shapes differ")
        return super().__call__(image, **threshold)


def test_a_failure_with_one_image_does_not_keep_the_others(job, model, photo):
    photo("a.png")
    photo("b.png")
    opened = partial(Failing.from_config, model[1], model[3], device="cpu")
    report = report_of(job._replace(open_model=opened), "a.png", "b.png")
    assert report["problems"] == ["a.png: RuntimeError: shapes differ"]
    assert report["images"] == 2 and report["objects"] == 1


def test_results_of_another_threshold_are_not_mixed_in(job, photo):
    photo("a.png")
    report_of(job, "a.png")
    assert report_of(job, "b.png")["mistake"] is None
    told = report_of(job._replace(threshold=0.5), "c.png")["mistake"]
    assert (
        "holds results of another model, or of another threshold, than model.pth from 0.5 on"
        in told
    )
    assert len(parquet_files.parts_of(Path(job.output))) == 2


def test_mistakes_are_reported(job):
    wrong = job._replace(open_model=partial(open_predictor, "config.yaml", "nowhere.pth"))
    assert "config.yaml" in report_of(wrong, "a.png")["mistake"]
    wrong = job._replace(imports=["nowhere"])
    assert "--import nowhere" in report_of(wrong, "a.png")["mistake"]


def test_a_full_disk_is_reported(job, photo, file_size_limit):
    photo("a.png")
    worker = ray_worker.PartWorker(job)
    with file_size_limit(100):
        (report,) = worker(pyarrow.table({"paths": [["a.png"]]})).to_pylist()
    assert "cannot be written" in report["mistake"]
    assert list(Path(job.output).iterdir()) == []


def test_who_has_threads_is_told_how_many(job):
    given = []

    def opened(threads=0):
        given.append(threads)
        return job.open_model()

    ray_worker.PartWorker(job._replace(open_model=opened, threads=3))
    assert given == [3]


def test_a_fault_of_the_program_comes_with_its_place(job):
    def opened():
        return {}["nothing"]

    told = report_of(job._replace(open_model=opened), "a.png")["mistake"]
    assert "in opened" in told and "KeyError: 'nothing'" in told


class Deadly(Predictor):
    """Ends each process that looks at an image."""

    def __call__(self, image, **threshold):
        raise SystemExit


def test_an_image_that_all_workers_die_of_is_left_after_some(job, model, photo):
    photo("a.png")
    deadly = partial(Deadly.from_config, model[1], model[3], device="cpu")
    for _ in range(4):
        with pytest.raises(SystemExit):
            report_of(job._replace(open_model=deadly), "a.png")
    report = report_of(job._replace(open_model=deadly), "a.png")
    assert report == {"images": 0, "objects": 0, "problems": [], "mistake": None}
    assert list(Path(job.output).iterdir()) == []
    # Another call begins anew, also where one was stopped.
    for _ in range(4):
        with pytest.raises(SystemExit):
            report_of(job._replace(open_model=deadly), "a.png")
    ray_worker.forget_tries(Path(job.output))
    assert report_of(job, "a.png")["images"] == 1
    assert list(Path(job.output).iterdir()) == parquet_files.parts_of(Path(job.output))
