"""One training at a time in a folder."""

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
from tests.training.training_toys import toy_config


def reserve(folder: Path, **flags: Any) -> Any:
    standard = {"eval_only": False, "machine_rank": 0}
    return reserved_output_dir(toy_config(folder), argparse.Namespace(**{**standard, **flags}))


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
        message = in_a_fork(tmp_path)
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
