"""The log of a run; on a disk that is full, logs and metrics are one warning, and the work goes on without them."""

import atexit
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO, TypeGuard

from detectron2.utils.events import EventWriter
from detectron2.utils.logger import setup_logger

from solo.files import Spared, check_folder
from solo.terminal import LOGGERS, LiveLine, hide_messages, show_messages


def setup_logs(
    folder: Path | None, *, verbose: bool, rank: int = 0, printed: TextIO | None = None
) -> None:
    """Have all that is logged written to log.txt of a folder, and warnings of the first process printed.

    Args:
        folder: None: nothing is written.
        verbose: Whether the first process prints all, as detectron2 does, in place of the line that changes.
        rank: Of this process; the others write files of their own.
        printed: Where to; by default to standard output.
    """
    LiveLine.off = verbose
    if rank == 0:
        show_messages()
    for name in LOGGERS:
        logger = setup_logger(folder and str(folder), distributed_rank=rank, name=name)
        printing = [item for item in logger.handlers if _prints(item)]
        if verbose:
            hide_messages(logger)
            for handler in printing:
                handler.setStream(printed or sys.stdout)
        else:
            logger.handlers[:] = [item for item in logger.handlers if item not in printing]
    if folder:
        spare_log_files(LOGGERS, folder)


def _prints(handler: logging.Handler) -> TypeGuard[logging.StreamHandler[TextIO]]:
    return isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout


class SparedWriter(EventWriter):
    """A writer of detectron2 that leaves out what cannot be written."""

    def __init__(self, writer: EventWriter, path: Path) -> None:
        """Wrap a writer.

        Args:
            writer: What writes.
            path: Its file, or a pattern of the files, for the message.
        """
        self._writer = writer
        self._folder = path.parent
        self._spared = Spared(path)

    def write(self) -> None:
        """Write, if there is room: TensorBoard's thread would not live through a failure."""
        with self._spared:
            check_folder(self._folder)
            self._writer.write()

    def close(self) -> None:
        """Close the files."""
        with self._spared:
            self._writer.close()


class _SparedStream:
    """What a handler of the logging module writes to: a file that may lack lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._spared = Spared(stream.name)

    def write(self, text: str) -> None:
        with self._spared:
            self._stream.write(text)

    def flush(self) -> None:
        with self._spared:
            self._stream.flush()

    def close(self) -> None:
        with self._spared:
            self._stream.close()


def spare_log_files(names: Iterable[str], folder: Path) -> None:
    """Let a log file that cannot be written be one warning, in place of a traceback per line.

    Args:
        names: Loggers, with the handlers that detectron2's `setup_logger` gave them.
        folder: Of the log files.
    """
    spared: dict[TextIO, _SparedStream] = {}
    for handler in (handler for name in names for handler in logging.getLogger(name).handlers):
        if not isinstance(handler, logging.StreamHandler):
            continue
        stream = handler.stream
        if Path(str(getattr(stream, "name", ""))).resolve().parent != folder.resolve():
            continue  # that of the screen
        if stream not in spared:
            spared[stream] = _SparedStream(stream)
            # Before detectron2's own, which would end in a traceback.
            atexit.register(spared[stream].close)
        handler.setStream(spared[stream])
