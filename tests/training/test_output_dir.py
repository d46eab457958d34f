"""One training at a time in a folder, and none begun anew over a run without being told to."""

import argparse
import errno
import fcntl
import logging
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from solo.errors import UserError
from solo.training import reserved_output_dir
from solo.training.output_dir import set_aside
from tests.training.training_toys import toy_config


def reserve(folder: Path, **flags: Any) -> Any:
    standard = {"eval_only": False, "machine_rank": 0, "resume": False, "overwrite": False}
    return reserved_output_dir(toy_config(folder), argparse.Namespace(**{**standard, **flags}))


def write_run(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(f"{folder.name} {name}")
    (folder / "last_checkpoint").write_text(names[-1])


def in_a_fork(folder: Path, **flags: Any) -> str:
    """Return what a process says that tries to train in a folder; like a loader's worker, it inherits files."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def attempt() -> None:
        try:
            with reserve(folder, **flags):
                theirs.send("")
        except UserError as error:
            theirs.send(str(error))

    process = context.Process(target=attempt)
    process.start()
    process.join()
    return str(ours.recv())


def test_a_second_training_is_told_who_is_there(tmp_path: Path) -> None:
    with reserve(tmp_path):
        message = in_a_fork(tmp_path, overwrite=True)
        assert in_a_fork(tmp_path, eval_only=True) == ""
        assert in_a_fork(tmp_path, machine_rank=1) == ""
    assert f"{tmp_path} is in use" in message and f"process {os.getpid()} on " in message
    assert "another OUTPUT_DIR" in message
    assert in_a_fork(tmp_path) == ""


def test_workers_of_the_loader_that_outlive_a_training_do_not_hold_its_lock(tmp_path: Path) -> None:
    with reserve(tmp_path):
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
    assert in_a_fork(tmp_path) == ""
    worker.kill()


def test_without_locks_it_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with caplog.at_level(logging.WARNING), reserve(tmp_path):
        pass
    assert "cannot be locked (No locks available)" in caplog.text


@pytest.mark.parametrize(
    ("names", "extent"),
    [
        (["model_0000019.pth", "model_0000039.pth"], "up to iteration 40"),
        (["model_0000039.pth", "model_final.pth"], r"that wrote model_final\.pth"),
    ],
)
def test_a_run_is_not_begun_anew_unasked(tmp_path: Path, names: list[str], extent: str) -> None:
    write_run(tmp_path, *names)
    match = rf"holds a run {extent}: --resume .* --overwrite .* another OUTPUT_DIR"
    with pytest.raises(UserError, match=match), reserve(tmp_path):
        pass
    with pytest.raises(UserError, match="give one"), reserve(tmp_path, resume=True, overwrite=True):
        pass
    for flag in ("resume", "overwrite"):
        with reserve(tmp_path, **{flag: True}):
            assert (tmp_path / "last_checkpoint").read_text() == names[-1]
    # Nor over what has lost its marker.
    (tmp_path / "last_checkpoint").unlink()
    with pytest.raises(UserError, match=extent), reserve(tmp_path):
        pass
    with pytest.raises(UserError, match="no file last_checkpoint"), reserve(tmp_path, resume=True):
        pass


def test_a_run_is_set_aside_as_a_whole(tmp_path: Path) -> None:
    files = {"model_0000019.pth", "model_best.pth", "metrics.json", "config.yaml", "curves.png"}
    write_run(tmp_path, *files, "model_final.pth")
    for mine in ("notes.txt", "log.txt"):
        (tmp_path / mine).touch()
    set_aside(tmp_path)
    previous = tmp_path / "previous"
    whole = {*files, "model_final.pth", "last_checkpoint"}
    assert {path.name for path in previous.iterdir()} == whole
    left = {"previous", "config.yaml", "notes.txt", "log.txt"}
    assert {path.name for path in tmp_path.iterdir()} == left

    # What ended before its first checkpoint does not take the place of a run.
    (tmp_path / "metrics.json").touch()
    set_aside(tmp_path)
    assert {path.name for path in previous.iterdir()} == whole
    write_run(tmp_path, "model_0000009.pth")
    set_aside(tmp_path)
    assert {path.name for path in previous.glob("*.pth")} == {"model_0000009.pth"}
