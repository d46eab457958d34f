"""What people see while a command runs: one line that changes, plain lines where there is no terminal, warnings."""

import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import ClassVar, TextIO

from tqdm import tqdm

from solo.others_warnings import silence_others

LOGGERS = ("fvcore", "detectron2", "solo")
_WIDTH = 80  # of a terminal that does not say
# Seconds between two states of the line, till the first plain line and between two of these, whose share of
# the whole is this at least.
_REDRAW, _FIRST, _EVERY, _SHARE = 0.1, 20.0, 60.0, 0.05


def stop_at_sigterm() -> None:
    """Have a job that is ended close its files, as after Ctrl-C: a KeyboardInterrupt that says SIGTERM."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, _: object) -> None:
    # Both whoever ends a job and the process that started this one may send it: the farewell is not cut off.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def stopped_by(stop: KeyboardInterrupt) -> str:
    """Return "Stopped", and by which signal if it says so."""
    return " by ".join(["Stopped", *stop.args])


def prepare_process() -> None:
    """Set up what people see of a process, of a command or of its workers; see the functions it calls."""
    silence_others()
    print_anything()
    stop_at_sigterm()


def print_anything() -> None:
    r"""Have the streams of a command take each character: one that they cannot show is written as "\xfc"."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(text: str, file: TextIO | None = None) -> None:
    """Print a text, by default to standard output, without breaking the line that changes.

    Where nobody reads any more, as after `| head`, it is lost: a training goes on.
    """
    file = file or sys.stdout
    with suppress(OSError):
        tqdm.write(text, file=file)
        file.flush()


class Messages(logging.Handler):
    """Warnings and errors of the log as people see them: a line each, and each once.

    A record with `extra={"log_only": True}` is said in another way.
    """

    def __init__(self) -> None:
        """Take warnings, and what is worse."""
        super().__init__(logging.WARNING)
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record to standard error; its traceback, if there is one, is for the log."""
        kind = "error" if record.levelno >= logging.ERROR else "warning"
        try:
            text = f"{kind}: {' '.join(record.getMessage().split())}"
        except Exception:  # of whoever logs: nothing that may end a training
            self.handleError(record)
            return
        if text not in self._told and not getattr(record, "log_only", False):
            self._told.add(text)
            tell(text, sys.stderr)


class LiveLine(AbstractContextManager["LiveLine"]):
    """How far something is, on standard error: a line that changes, or plain lines now and then.

    Plain ones come where there is no terminal, once a minute or each 5 percent, whatever is rarer. Of
    several lines that are open, the youngest is seen. With `off` there is none, as where the log is printed.
    """

    off: ClassVar[bool] = False
    _open: ClassVar[list["LiveLine"]] = []

    def __init__(self, *, shown: bool = True) -> None:
        """Open a line; not `shown`: one that is never seen, as of all processes but the first."""
        self._shown = shown and not LiveLine.off
        self._changes = sys.stderr.isatty()
        self._bar: _Bar | None = None
        self._text = ""
        # When something was said, how long it holds at least, and the share from which on there is more to say.
        self._told, self._wait, self._least = time.monotonic(), _FIRST, 0.0
        if self._changes:
            self._wait = 0.0

    def __enter__(self) -> "LiveLine":
        """Take the place of the line that was open."""
        if LiveLine._open:
            LiveLine._open[-1]._hide()
        LiveLine._open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing of a line that changes."""
        self._hide()
        LiveLine._open.remove(self)
        if LiveLine._open:
            LiveLine._open[-1]._draw()

    def show(self, share: float, describe: Callable[[int], str]) -> None:
        """Say how far it is, if it is time to say so.

        Args:
            share: Of the whole, 0 to 1.
            describe: From the columns that there are, to the text.
        """
        now = time.monotonic()
        if not self._shown or now - self._told < self._wait or share < self._least:
            return
        self._told = now
        if self._changes:
            self._text, self._wait = describe(_columns() - 1), _REDRAW
            self._draw()
        else:
            self._wait, self._least = _EVERY, share + _SHARE
            tell(describe(sys.maxsize), sys.stderr)

    def _draw(self) -> None:
        if self._text and self._changes:
            if self._bar is None:
                # The text is cut already; by itself tqdm shows nothing where a terminal does not say its size.
                self._bar = _Bar(
                    bar_format="{desc}", leave=False, file=sys.stderr, ncols=1000, nrows=20
                )
            self._bar.set_description_str(self._text)

    def _hide(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Bar(tqdm):  # type: ignore[type-arg]
    """A bar without the thread that watches over others."""

    monitor_interval = 0


def show_messages() -> None:
    """Have warnings and errors of solo and what it stands on printed, as `Messages` does."""
    messages = Messages()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        hide_messages(logger)
        logger.addHandler(messages)
    # A download that fails is an error of solo's own, with what to do.
    if not (iopath := logging.getLogger("iopath")).handlers:
        iopath.addHandler(logging.NullHandler())


def hide_messages(logger: logging.Logger) -> None:
    """Undo :func:`show_messages` for one logger, as where all of its log is printed."""
    logger.handlers[:] = [item for item in logger.handlers if not isinstance(item, Messages)]


def how_many(count: int, what: str) -> str:
    """Return a number and a word: "1 image", "2,000 images", "3 classes"."""
    return f"{count:,} {what if count == 1 else plural(what)}"


def plural(what: str) -> str:
    """Return the word for several."""
    return what + ("es" if what.endswith(("s", "x")) else "s")


def duration(seconds: float) -> str:
    """Return a time as people say it: 45 s, 12 min, 5 h 20 min, 3 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _columns() -> int:
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or _WIDTH
