"""Files that are written whole or not at all, and folders that are tried before the work."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


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

    Args:
        path: A file on this machine; replaced if it exists.

    Yields:
        A hidden name beside it, with its suffix, to write to. It becomes `path` on leaving, but for an
        exception, or where it was removed: then `path` is as before.

    Raises:
        OSError: If it could not be written; `path` is as before.
    """
    path = Path(path)
    # The name is fixed: what a killed process left behind is overwritten by the next one.
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
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
                f"{path} cannot be written ({error}); what was there before is untouched."
            ) from error
        raise


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
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{name or folder} cannot be written to ({error.strerror}); choose another."
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
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed process left behind
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.is_dir():
            folder.rmdir()
        os.replace(partial, folder)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise OSError(
                f"{folder} cannot be written ({error}); nothing is left of it."
            ) from error
        raise
