"""`solo predict --parquet`: what goes together, and what is said at the end; the work itself is in tests/inference."""

from functools import partial
from pathlib import Path

import cv2
import pytest
import torch

from solo.cli._model import Model
from solo.cli._parquet import opener
from solo.errors import UserError
from solo.inference import Predictor
from solo.inference.model_identity import model_identity
from solo.inference.opening import open_predictor

pyarrow = pytest.importorskip("pyarrow", reason="the extra `ray` is not installed")
pytest.importorskip("ray.data", reason="the extra `ray` is not installed")
ray_worker = pytest.importorskip("solo.inference.ray_worker")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workers", 2, "a.png"], "--workers N goes with --parquet DIR"),
        (["--workers", 0, "a.png"], "--workers N goes with --parquet DIR"),
        (["--parquet", "found", "--output", "drawn", "a.png"], "draws none: leave out --output"),
        (["--parquet", "found", "--webcam"], "leave out --webcam"),
        (["--parquet", "found", "--mot", "a.txt", "a.png"], "leave out --mot"),
        (["--parquet", "found", "--track", "a.png"], "leave out --track."),
        (["--parquet", "found", "--batch", 2, "a.png"], "leave out --batch"),
        (["--parquet", "found", "--track-seconds", 2, "a.png"], "leave out --track-seconds"),
        (["--parquet", "found", "--device", "cuda:1", "a.png"], "give --device cuda for cuda:1"),
        (
            ["--parquet", "found", "a.png", "MODEL.DEVICE", "cuda:0"],
            "give --device cuda for cuda:0",
        ),
        (["--parquet", "found", "--workers", 0, "a.png"], "--workers 0: give 1 at least"),
        (["--parquet", "found"], "name images, folders or tables"),
    ],
)
def test_flags_that_do_not_go_together(solo, capsys, words, told):
    with pytest.raises(SystemExit) as stopped:
        solo("predict", *words)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


def test_what_is_done_is_told_and_written_as_one_process_does(solo, model, photo, tmp_path, capsys):
    for index in range(3):
        photo(f"photos/{index}.png", blobs=index + 1)
    (tmp_path / "photos/3.png").write_bytes(b"broken")
    assert solo("predict", "photos", *model, "--json", "one.json") == 1
    Path("found").mkdir()
    opened = partial(open_predictor, model[1], model[3], device="cpu")
    places = str(tmp_path / "found"), str(tmp_path)
    identity = model_identity(model[1], model[3])
    job = ray_worker.Job(opened, *places, torch.get_num_threads(), None, (), identity)
    paths = [f"photos/{index}.png" for index in range(4)]
    ray_worker.PartWorker(job)(pyarrow.table({"paths": [paths]}))
    capsys.readouterr()
    words = ("photos", "photos/9.png", *model, "--parquet", "found", "--json", "all.json")
    assert solo("predict", *words) == 2
    told = capsys.readouterr()
    assert told.out == (
        "0 images done, 4 were done before: 0 objects found.\n"
        "written: 1 file in found\n"
        "written: 6 instances in all.json\n"
    )
    assert told.err.startswith("error: photos/9.png: no such file or folder")
    assert "error: 1 image could not be read before: see the column `error`" in told.err
    assert Path("all.json").read_bytes() == Path("one.json").read_bytes()

    # Only what is asked for, by the names and in the order of the words.
    asked = [tmp_path / "photos/2.png", "photos/0.png"]
    assert solo("predict", *asked, *model, "--json", "one.json") == 0
    assert solo("predict", *asked, *model, "--parquet", "found", "--json", "all.json") == 0
    assert Path("all.json").read_bytes() == Path("one.json").read_bytes()

    # Trained anew, the model has the same name; a threshold is told without a model, too.
    for changed in ("--threshold", 0.6), ("--tiles", 64), ("INPUT.MIN_SIZE_TEST", 80):
        with pytest.raises(SystemExit, match="holds results of another model"):
            solo("predict", "photos/0.png", *model, "--parquet", "found", *changed)
    torch.save(
        {"model": {"threshold": torch.tensor(100.0)}, "class_names": ["zero", "one"]}, model[3]
    )
    with pytest.raises(SystemExit, match="holds results of another model"):
        solo("predict", "photos/0.png", *model, "--parquet", "found")


def test_an_exported_model_has_the_threads_of_its_worker(tmp_path, monkeypatch):
    given = []

    def from_exported(path, *, threads, **_):
        given.append((path, threads))
        raise UserError("enough is known")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "from_exported", from_exported)
    before = torch.get_num_threads(), cv2.getNumThreads()
    opened = opener(Model("", "", onnx="a.onnx"))
    ray_worker.PartWorker(ray_worker.Job(opened, str(tmp_path), str(tmp_path), 3, None, ()))
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])
    assert given == [("a.onnx", 3)]
