"""Logs and metrics on a disk that is full: one warning, and the training goes on without them."""

import atexit
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from detectron2.utils.events import EventWriter

from solo.files import Spared, check_folder


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


def spare_log_files(names: Iterable[str]) -> None:
    """Let a log file that cannot be written be one warning, in place of a traceback per line.

    Args:
        names: Loggers, with the handlers that detectron2's `setup_logger` gave them.
    """
    spared: dict[TextIO, _SparedStream] = {}
    for handler in (handler for name in names for handler in logging.getLogger(name).handlers):
        if not isinstance(handler, logging.StreamHandler) or handler.stream is sys.stdout:
            continue
        if handler.stream not in spared:
            spared[handler.stream] = _SparedStream(handler.stream)
            # Before detectron2's own, which would end in a traceback.
            atexit.register(spared[handler.stream].close)
        handler.setStream(spared[handler.stream])
