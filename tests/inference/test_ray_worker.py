"""One worker, without Ray: what it reports, and what it refuses."""

import errno
from functools import partial
from pathlib import Path

import cv2
import pytest
import torch

from solo.errors import UserError
from solo.images import UnreadableImageError
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
    assert report == {"images": 3, "objects": 2, "faults": [], "mistake": None}  # of 1, 1/2 and 1/3
    done = parquet_files.done_in(Path(job.output))
    assert done == {
        f"{tmp_path}/a.png": True,
        f"{tmp_path}/b.png": False,
        f"{tmp_path}/c.png": False,
    }
    assert torch.get_num_threads() == cv2.getNumThreads() == 1


class Failing(Predictor):
    """Has a fault of the program, the memory, a disk or what computes with one image."""

    fault: Exception

    def __call__(self, image, **threshold):
        if image != "a.png":
            return super().__call__(image, **threshold)
        if isinstance(self.fault, OSError | MemoryError):
            raise UnreadableImageError("a.png: cannot be read") from self.fault
        if isinstance(self.fault, torch.AcceleratorError):
            raise UserError("the graph fails") from self.fault
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError("shapes differ"), "a.png: RuntimeError: shapes differ"),
        (torch.AcceleratorError("a card fell off"), "a.png: the graph fails"),
        (OSError(errno.EIO, "Input/output error"), "a.png: cannot be read"),
        (MemoryError(), "a.png: cannot be read"),
    ],
)
def test_a_fault_with_one_image_keeps_it_to_do_and_not_the_others(job, model, photo, fault, told):
    photo("a.png")
    photo("b.png")

    def opened():
        predictor = Failing.from_config(model[1], model[3], device="cpu")
        predictor.fault = fault
        return predictor

    report = report_of(job._replace(open_model=opened), "a.png", "b.png")
    assert report["faults"] == [told] and report["problems"] == []
    assert report["images"] == 1 and report["objects"] == 1
    assert set(parquet_files.done_in(Path(job.output))) == {f"{job.folder}/b.png"}
    report = report_of(job._replace(open_model=opened), "a.png")
    assert report["images"] == 0 and report["faults"] == [told]
    assert report_of(job, "a.png")["images"] == 1


def test_the_same_name_in_another_folder_is_another_image(job, photo, tmp_path):
    photo("a.png")
    photo("other/a.png", blobs=2)
    report_of(job, "a.png")
    assert report_of(job._replace(folder=str(tmp_path / "other")), "a.png")["objects"] == 2
    done = parquet_files.done_in(Path(job.output))
    assert set(done) == {f"{tmp_path}/a.png", f"{tmp_path}/other/a.png"}


def test_results_of_another_identity_are_not_mixed_in(job, model, photo, tmp_path):
    photo("a.png")
    report_of(job._replace(identity="1"), "a.png")
    told = report_of(job._replace(identity="2"), "b.png")["mistake"]
    assert "holds results of another model" in told
    # Of the same by another name there is nothing to say.
    renamed = Path(model[3]).rename(tmp_path / "renamed.pth")
    opened = partial(open_predictor, model[1], str(renamed), device="cpu")
    again = job._replace(open_model=opened)
    assert report_of(again._replace(identity="1"), "b.png")["mistake"] is None
    assert "another model" in report_of(again, "b.png")["mistake"]


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
    nothing = {"images": 0, "objects": 0, "problems": [], "faults": [], "mistake": None}
    assert report == nothing
    assert list(Path(job.output).iterdir()) == []
    # Another call begins anew, also where one was stopped.
    for _ in range(4):
        with pytest.raises(SystemExit):
            report_of(job._replace(open_model=deadly), "a.png")
    ray_worker.forget_tries(Path(job.output))
    assert report_of(job, "a.png")["images"] == 1
    assert list(Path(job.output).iterdir()) == parquet_files.parts_of(Path(job.output))
