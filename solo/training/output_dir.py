"""OUTPUT_DIR belongs to one run: it is locked while one trains."""

import argparse
import errno
import fcntl
import logging
import os
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
        args: ``eval_only`` and ``machine_rank`` matter.

    Raises:
        UserError: If another training writes to it.
    """
    if args.eval_only or not is_first_process(args.machine_rank):
        yield
        return
    folder = Path(cfg.OUTPUT_DIR)
    # Unbuffered: closing it has nothing to write, which might fail.
    with (folder / run_files.LOCK).open("a+b", buffering=0) as file:
        _lock(file, folder)
        yield


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
