"""Files that are written whole or not at all, and folders that are tried before the work."""

import contextlib
import functools
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

# Names of files that are being written, as `glob` has them.
_PARTIAL = f".*.{'[0-9a-f]' * 8}.partial*"
# Seconds without a change: a file is left alone before that, and is nobody's after that, where nothing
# but its age is known.
_YOUNG, _OLD = 30, 24 * 3600


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write a text in UTF-8; see :func:`written_whole`."""
    write_with(lambda file: file.write(text.encode()), path)


def write_with(write: Callable[[IO[bytes]], object], path: str | os.PathLike[str]) -> None:
    """Let a function write to an open file; see :func:`written_whole`."""
    with written_whole(path) as partial, partial.open("wb") as file:
        write(file)


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that `path` is at every moment either the old file or the new one.

    Several may write to one path at once: each writes a file of its own, and the last to end stays.

    Args:
        path: A file on this machine; replaced if it exists.

    Yields:
        An empty file beside it, of a hidden name with its suffix, to write to. It becomes `path` on
        leaving, but for an exception, or where it was removed: then `path` is as before.

    Raises:
        OSError: If it could not be written; `path` is as before.
    """
    path = Path(path)
    # The first letters do: with the rest, a long name would become too long.
    partial = path.with_name(f".{path.stem[:50]}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        _remove_abandoned(path.parent.absolute())
        with _held(partial):
            yield partial
            if partial.exists():
                with partial.open("rb+") as file:
                    os.fsync(file.fileno())
                os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        # torch reports a full disk as a RuntimeError.
        if isinstance(error, (OSError, RuntimeError)):
            raise OSError(
                f"{path} cannot be written ({reason_of(error)}); what was there before is untouched."
            ) from error
        raise


@contextlib.contextmanager
def _held(partial: Path) -> Iterator[None]:
    """Make a file and lock it: so other processes see that its writer lives."""
    with partial.open("xb") as file:
        if sys.platform == "win32":
            file.close()  # an open file cannot be renamed there
        else:
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.lru_cache(maxsize=128)
def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left in a folder; once a process, as folders may be large."""
    for partial in folder.glob(_PARTIAL):
        with contextlib.suppress(OSError), partial.open("rb+") as file:
            if _is_abandoned(file):
                partial.unlink()


def _is_abandoned(file: IO[bytes]) -> bool:
    age = time.time() - os.fstat(file.fileno()).st_mtime
    if sys.platform == "win32":
        return age > _OLD
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return age > _OLD
    return age > _YOUNG


def reason_of(error: BaseException) -> str:
    """Say in a few words why a file cannot be written: by the first error, which has led to others."""
    first: BaseException | None = error
    while first is not None:
        if isinstance(first, OSError) and first.strerror:
            return first.strerror
        first = first.__cause__ or first.__context__
    return str(error).partition("\n")[0]


class Spared(contextlib.AbstractContextManager["Spared"]):
    """Contexts in which a file that cannot be written is a warning, once: the work is worth more."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the file, for the message."""
        self._path = path
        self._warned = False

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Take every OSError, and tell the first."""
        if isinstance(error, OSError) and not self._warned:
            self._warned = True
            reason = reason_of(error)
            logger.warning(
                "%s cannot be written (%s): the work goes on without", self._path, reason
            )
        return isinstance(error, OSError)


def check_folder(folder: Path, name: str = "") -> None:
    """Make a folder and try that it can be written to.

    Args:
        folder: The folder.
        name: What to call it in the message; empty: by its path.

    Raises:
        OSError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # A full disk has room for a name, and for no content.
            file.write(bytes(4096))
    except OSError as error:
        raise OSError(
            f"{name or folder} cannot be written to ({reason_of(error)}); choose another."
        ) from error


@contextlib.contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """Write a folder that is there as a whole, or not at all.

    Args:
        folder: One that does not exist yet, or is empty.

    Yields:
        A hidden folder beside it to write into. It becomes `folder` on leaving, but for an exception.

    Raises:
        OSError: If it could not be written, or holds something.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(".partial", f".{folder.name[:50]}.", folder.absolute().parent))
    try:
        partial.chmod(folder.parent.stat().st_mode)  # a temporary folder is its owner's alone
        yield partial
        if folder.is_dir():
            folder.rmdir()
        os.replace(partial, folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(
                f"{folder} cannot be written ({reason_of(error)}); nothing is left of it."
            ) from error
        raise
