"""Weights by an address in place of a path: what to do where the net does not give them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from detectron2.checkpoint.catalog import ModelCatalog, ModelCatalogHandler
from detectron2.utils.file_io import Detectron2Handler, PathManager
from iopath.common.file_io import get_cache_dir

from solo.config.names import PREFIX
from solo.errors import UserError


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return the file on this machine that a path or an address stands for; fetch it, if need be.

    Args:
        path: See :func:`fetching`.

    Raises:
        UserError: If no weights have such a name.
        OSError: If the file cannot be fetched.
    """
    path = os.fspath(path)
    if "://" not in path:
        return Path(path)
    with fetching(path):
        return Path(PathManager.get_local_path(path.partition("?")[0]))


@contextmanager
def fetching(path: str) -> Iterator[None]:
    """Say where a file can be put by hand, where it cannot be fetched meanwhile.

    Args:
        path: An address that detectron2's PathManager knows; or a path, which is not fetched.

    Raises:
        UserError: If detectron2's catalog has no such name.
        OSError: If the file cannot be fetched.
    """
    address = _web_address(path)
    try:
        yield
    except (OSError, AssertionError) as error:  # of fvcore: there is no file at a foreign address
        if "://" not in path or path.startswith(PREFIX):  # ours say all that there is to say
            raise
        reason = str(getattr(error, "reason", error)).rstrip(".")
        raise OSError(
            f"The weights cannot be fetched from {address} ({reason}). Fetch them elsewhere, and set "
            f"MODEL.WEIGHTS to the file{_or_copy(address)}."
        ) from error


def _web_address(path: str) -> str:
    if path.startswith(Detectron2Handler.PREFIX):
        name = path.removeprefix(Detectron2Handler.PREFIX)
        return f"{Detectron2Handler.S3_DETECTRON2_PREFIX}{name}"
    if not path.startswith(ModelCatalogHandler.PREFIX):
        return path
    try:
        return str(ModelCatalog.get(path.removeprefix(ModelCatalogHandler.PREFIX)))
    except (KeyError, RuntimeError) as error:
        raise UserError(
            f"MODEL.WEIGHTS is {path}, and detectron2's catalog has no such name."
        ) from error


def _or_copy(address: str) -> str:
    """Return the words for the place in the cache, where whatever is fetched lies."""
    url = urlparse(address)
    if url.scheme not in ("http", "https", "ftp"):
        return ""
    folder = Path(get_cache_dir(), url.path.lstrip("/")).parent
    return f", or put them at {folder / address.rpartition('/')[2]}"
