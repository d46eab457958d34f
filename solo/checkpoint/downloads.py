"""Files from the net: resumed where they were cut, checked by their hash, by one process at a time."""

import contextlib
import hashlib
import http.client
import logging
import os
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tqdm import tqdm

from solo.files import reason_of

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

# Seconds without a byte after which a connection counts as cut; bytes at a time, and of a file at most:
# the largest that is published has 0.5 GB.
_TIMEOUT, _CHUNK, _MOST = 30, 1 << 20, 4 << 30


class Remote(NamedTuple):
    """A file in the net.

    Attributes:
        addresses: Where it is, or may be: each is tried where the one before has none.
        sha256: How its sha256 begins, in hex digits.
        advice: What to do where it cannot be fetched, as the end of a sentence.
    """

    addresses: Sequence[str]
    sha256: str
    advice: str


@contextlib.contextmanager
def partial_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is being fetched, or wait until the process that has it open is done.

    Args:
        path: The file, in a folder that exists. It may have the beginning of an earlier try.

    Yields:
        The file, unbuffered, to read and to append to. On leaving it is removed; after an exception
        only if it is empty, as what was fetched so far can be gone on with. Where a file system has no
        locks, each process has a file of its own, which is always removed.

    Raises:
        OSError: If it cannot be opened.
    """
    file = _locked(path)
    if file is None:
        yield from _own_file(path)
        return
    with file:
        try:
            yield file
            file.truncate(0)
        finally:
            # While it is locked: whoever waits looks whether the file is still the one of that name.
            if not os.fstat(file.fileno()).st_size:
                path.unlink(missing_ok=True)


def fetch_into(file: IO[bytes], remote: Remote) -> None:
    """Bring what a file lacks.

    Args:
        file: From :func:`partial_file`, with the beginning that it has.
        remote: What to bring.

    Raises:
        OSError: If it cannot be fetched; of a connection that was cut the file keeps what came, and
            is emptied otherwise.
    """
    resumed = os.fstat(file.fileno()).st_size > 0
    digest = _digest(file)
    if resumed and digest.startswith(remote.sha256):
        return
    address = _append(file, remote)
    digest = _digest(file)
    if resumed and not digest.startswith(remote.sha256):
        # The beginning was another file's: once more, without it.
        file.truncate(0)
        address = _append(file, remote)
        digest = _digest(file)
    if not digest.startswith(remote.sha256):
        file.truncate(0)
        raise OSError(
            f"What {address} gives is not the published file and was removed: its sha256 begins with "
            f"{digest[: len(remote.sha256)]}, not with {remote.sha256}; {remote.advice}."
        )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex digits.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return _digest(file)


def _append(file: IO[bytes], remote: Remote) -> str:
    """Append what is missing, and return the address that it came from."""
    have = file.seek(0, os.SEEK_END)
    address, response = _open_first(remote, have)
    with response:
        if not _goes_on_at(response, have):
            have = file.truncate(0)
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        logger.info("Fetching %s", address)  # a log shows no bar
        name = address.rpartition("/")[2]
        with tqdm(
            total=total, initial=have, desc=name, unit="B", unit_scale=True, disable=None
        ) as bar:
            for chunk in _chunks(response, address, have, total):
                _write(file, chunk)
                bar.update(len(chunk))
        if file.tell() > _MOST:
            file.truncate(0)
            raise OSError(f"{address} gives more than any published file has; {remote.advice}.")
    return address


def _open_first(remote: Remote, have: int) -> tuple[str, http.client.HTTPResponse]:
    """Ask for what follows the first bytes of a file, at each address until one has it."""
    failed: list[tuple[str, Exception]] = []
    for address in remote.addresses:
        try:
            return address, _open(address, have)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failed.append((address, error))
    address, first = failed[0]
    raise OSError(f"{address} cannot be fetched ({_reason(first)}); {remote.advice}.") from first


def _open(address: str, have: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "solo", **({"Range": f"bytes={have}-"} if have else {})}
    # An opener of its own: the one that urllib keeps has the proxies of its first use.
    opener = urllib.request.build_opener()
    try:
        response = opener.open(urllib.request.Request(address, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if not have or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return _open(address, 0)
    if have and response.status == http.client.PARTIAL_CONTENT and not _goes_on_at(response, have):
        response.close()
        return _open(address, 0)
    return response


def _goes_on_at(response: http.client.HTTPResponse, have: int) -> bool:
    """Return whether the first byte that comes is the one asked for; a server may send all again."""
    begin = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return not have or (response.status == http.client.PARTIAL_CONTENT and begin == str(have))


def _chunks(
    response: http.client.HTTPResponse, address: str, have: int, total: int | None
) -> Iterator[bytes]:
    """Yield what comes, at most what was promised, and no more than shows that it is too much.

    Raises:
        OSError: If it ends before what was promised.
    """
    reason = "it ended early"
    end = min(total or _MOST + 1, _MOST + 1)
    try:
        while have < end and (chunk := response.read(min(_CHUNK, end - have))):
            have += len(chunk)
            yield chunk
        if have == end or total is None:
            return
    except (OSError, http.client.HTTPException) as error:
        reason = _reason(error)
    of_all = f" of {total:,}" if total else ""
    raise OSError(
        f"The download of {address} was cut after {have:,}{of_all} bytes ({reason}): try again, and it "
        "goes on from there."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}".strip()
    if isinstance(error, TimeoutError):
        return f"nothing came for {_TIMEOUT} seconds"
    reason = getattr(error, "reason", error)
    return (
        _reason(reason) if isinstance(reason, OSError) and reason is not error else _words(reason)
    )


def _words(reason: object) -> str:
    said = reason_of(reason) if isinstance(reason, OSError) else str(reason)
    return said or type(reason).__name__


def _write(file: IO[bytes], chunk: bytes) -> None:
    """Append a chunk; on a disk that is full, make room again."""
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        file.truncate(0)
        raise OSError(
            f"{file.name} cannot be written ({reason_of(error)}); nothing is left of it. Make room, or "
            "set SOLO_CACHE to another folder."
        ) from error


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _locked(path: Path) -> IO[bytes] | None:
    """Open a file that this process alone has, as long as it is open; None where there are no locks."""
    while True:
        file = path.open("a+b", buffering=0)
        if not _lock(file):
            file.close()
            return None
        # Whoever had it may have removed it meanwhile, and others may have made it again.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _lock(file: IO[bytes]) -> bool:
    """Wait for a lock, which ends with its process, however that ends; return whether there are any."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("Waiting for another process that fetches %s", file.name)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        return False
    return True


def _own_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file of another name, which is this process's alone and never gone on with."""
    path.unlink(missing_ok=True)
    own = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with own.open("a+b", buffering=0) as file:
            yield file
    finally:
        own.unlink(missing_ok=True)
