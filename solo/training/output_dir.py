"""OUTPUT_DIR belongs to one run: it is locked while one trains, and none is begun anew over another unasked."""

import argparse
import errno
import fcntl
import logging
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from detectron2.config import CfgNode

from solo.checkpoint import run_files
from solo.errors import UserError
from solo.training.launch import is_first_process

logger = logging.getLogger(__name__)


@contextmanager
def reserved_output_dir(cfg: CfgNode, args: argparse.Namespace) -> Iterator[None]:
    """Keep OUTPUT_DIR for the training that the flags ask for, as long as this context lasts.

    Only the first process of all does, and none with ``eval_only``, which may look at a run in progress.

    Args:
        cfg: The config.
        args: ``eval_only``, ``machine_rank``, ``resume`` and ``overwrite`` matter.

    Raises:
        UserError: If another training writes to it, or it holds a run that would be begun anew.
    """
    if args.eval_only or not is_first_process(args.machine_rank):
        yield
        return
    folder = Path(cfg.OUTPUT_DIR)
    # Unbuffered: closing it has nothing to write, which might fail.
    with (folder / run_files.LOCK).open("a+b", buffering=0) as file:
        _lock(file, folder)
        _check_run(folder, resume=args.resume, overwrite=args.overwrite)
        yield


def set_aside(folder: Path) -> None:
    """Move the run that OUTPUT_DIR holds, if there is one, into a folder in it, in place of what is there.

    Config and record are copied: those of the run that begins may lie there already.

    Raises:
        OSError: A file cannot be moved.
    """
    if not holds_run(folder):
        return
    previous = folder / run_files.PREVIOUS_RUN
    previous.mkdir(exist_ok=True)
    for path in run_files.of_a_run(previous):
        path.unlink()
    for path in run_files.of_a_run(folder):
        if path.name in (run_files.CONFIG, run_files.RUN):
            shutil.copy2(path, previous)
        else:
            path.replace(previous / path.name)
    logger.info("The run that was in %s is in %s now.", folder, previous)


def _lock(file: IO[bytes], folder: Path) -> None:
    """Lock a file for this process, and write into it who does, or tell who has done so."""
    try:
        # Not flock: the loader's workers would inherit it, and hold it for a while after a kill.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            logger.warning(
                "OUTPUT_DIR %s cannot be locked (%s): start no other training in it meanwhile.",
                folder,
                error.strerror,
            )
            return
        file.seek(0)
        raise UserError(
            f"OUTPUT_DIR {folder} is in use by another training ({file.read().decode()}): set another "
            "OUTPUT_DIR, or wait for its end."
        ) from None
    with suppress(OSError):  # the lock is what counts
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())


def _check_run(folder: Path, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise UserError("--resume goes on with a run, --overwrite begins anew: give one of them.")
    previous = folder / run_files.PREVIOUS_RUN
    if not holds_run(folder):
        if resume and holds_run(previous):
            logger.warning(
                "%s has no checkpoint yet, so training starts; to resume the run before, which is in %s, "
                "set OUTPUT_DIR to that.",
                *(folder, previous),
            )
    elif not (resume or overwrite):
        raise UserError(
            f"OUTPUT_DIR {folder} holds a run {_extent(folder)}: --resume goes on with it, --overwrite "
            f"begins anew and moves it to {previous}; or set another OUTPUT_DIR."
        )
    elif resume and not (marker := folder / run_files.LAST_CHECKPOINT).is_file():
        raise UserError(
            f"OUTPUT_DIR {folder} holds a run {_extent(folder)}, but no file {marker.name} that says "
            "where to resume: write the name of its last checkpoint into one, or begin anew with "
            "--overwrite."
        )


def holds_run(folder: Path) -> bool:
    """Return whether a folder has checkpoints of a run."""
    return (folder / run_files.LAST_CHECKPOINT).is_file() or bool(run_files.checkpoints(folder))


def _extent(folder: Path) -> str:
    """Say how far the run in a folder has come, by the name of its last checkpoint."""
    marker = folder / run_files.LAST_CHECKPOINT
    names = [path.name for path in run_files.checkpoints(folder)]
    last = marker.read_text(errors="replace").strip() if marker.is_file() else names[-1]
    number = re.fullmatch(r"model_(\d+)\.pth", last)
    return f"up to iteration {int(number[1]) + 1}" if number else f"that wrote {last}"
