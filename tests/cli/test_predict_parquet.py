"""`solo predict --parquet`: what goes together, and what is said at the end; the work itself is in tests/inference."""

from functools import partial
from pathlib import Path

import pytest
import torch

from solo.inference.opening import open_predictor

pyarrow = pytest.importorskip("pyarrow", reason="the extra `ray` is not installed")
pytest.importorskip("ray.data", reason="the extra `ray` is not installed")
ray_worker = pytest.importorskip("solo.inference.ray_worker")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workers", 2, "a.png"], "--workers N goes with --parquet DIR"),
        (["--parquet", "found", "--output", "drawn", "a.png"], "draws none: leave out --output"),
        (["--parquet", "found", "--webcam"], "leave out --webcam"),
        (["--parquet", "found", "--mot", "a.txt", "a.mp4"], "leave out --mot"),
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
    job = ray_worker.Job(
        opened, str(tmp_path / "found"), str(tmp_path), torch.get_num_threads(), None, ()
    )
    paths = [f"photos/{index}.png" for index in range(4)]
    ray_worker.PartWorker(job)(pyarrow.table({"paths": [paths]}))
    capsys.readouterr()
    words = ("photos", "photos/9.png", *model, "--parquet", "found", "--json", "all.json")
    assert solo("predict", *words) == 1
    told = capsys.readouterr()
    assert told.out == (
        "0 images done, 4 were done before: 0 objects found.\n"
        "written: 1 file in found\n"
        "written: 6 instances in all.json\n"
    )
    assert told.err.startswith("error: photos/9.png: no such file or folder")
    assert Path("all.json").read_bytes() == Path("one.json").read_bytes()
