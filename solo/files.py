"""Files that are written whole or not at all, and folders that are tried before the work."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write a text in UTF-8; see :func:`write_with`."""
    write_with(lambda file: file.write(text.encode()), path)


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write bytes; see :func:`write_with`."""
    write_with(lambda file: file.write(data), path)


def write_with(write: Callable[[IO[bytes]], Any], path: str | os.PathLike[str]) -> None:
    """Write a file so that `path` is at every moment either the old file or the new one.

    Args:
        write: Writes the content to an open file.
        path: A file on this machine; replaced if it exists.

    Raises:
        OSError: If it could not be written; `path` is as before.
    """
    path = Path(path)
    # The name is fixed: what a killed process left behind is overwritten by the next one.
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        # torch reports a full disk as a RuntimeError.
        if isinstance(error, (OSError, RuntimeError)):
            raise OSError(
                f"{path} cannot be written ({error}); what was there before is untouched."
            ) from error
        raise


def check_folder(folder: Path) -> None:
    """Make a folder and try that it can be written to.

    Raises:
        OSError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written to ({error.strerror}); choose another."
        ) from error
