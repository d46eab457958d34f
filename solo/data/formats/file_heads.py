"""What tells one format of annotations from another: the beginnings of files, and where images lie."""

import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from PIL import Image

from solo.errors import UserError, told_as
from solo.images import UnreadableImageError, image_size

# Bytes that are looked at to tell a format.
_HEAD = 1 << 18
# Width and height of an image; None where nobody knows them.
Size = tuple[int | None, int | None]

_JSON_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[{}\[\]]', re.DOTALL)


def json_keys(path: Path) -> tuple[set[str], set[str]]:
    """Return the keys at the top of a json file, and those one level below; from its beginning only.

    Returns:
        Empty sets if it cannot be read, or is no json.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.read(_HEAD)
    except OSError:
        return set(), set()
    keys: tuple[set[str], set[str]] = set(), set()
    depth = 0
    for match in _JSON_TOKEN.finditer(head if head.lstrip().startswith("{") else ""):
        if match[0] in "{[":
            depth += 1
        elif match[0] in "}]":
            depth -= 1
        elif match[2] and depth in (1, 2):
            keys[depth - 1].add(match[1])
    return keys


def read_json(path: Path) -> Any:
    """Read a json file, with a byte order mark or without.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is no json.
    """
    with told_as(f"{path} is no json"):
        try:
            return json.loads(path.read_text(encoding="utf-8-sig"))
        except RecursionError as error:
            raise UserError(f"{path} is no annotation file: it is nested too deeply") from error


class _RootFoundError(Exception):
    """The first element of an XML file has begun."""


def xml_root(path: Path) -> str:
    """Return the name of the outermost element of an XML file; empty if it cannot be read, or is none.

    Raises:
        UserError: If it declares a document type, whose entities can fill the memory. Once the first
            element has begun, no file may do this any more.
    """
    names: list[str] = []

    def start(name: str, _: dict[str, str]) -> None:
        names.append(name)
        raise _RootFoundError

    def refuse(*_: object) -> None:
        raise UserError(
            f"{path} declares a DOCTYPE, which no annotation tool writes and which is not read: "
            "remove the lines from <!DOCTYPE to its end"
        )

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    try:
        with path.open("rb") as file:
            parser.Parse(file.read(_HEAD))
    except _RootFoundError:
        return names[0]
    except UserError:
        raise
    except (OSError, expat.ExpatError, LookupError, ValueError):
        pass
    return ""


def files_below(folder: Path, suffix: str | tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of a folder, and of those in it, that are not hidden, in the order of names."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(suffix) and not name.startswith("."):
                yield Path(where, name)


def first_files(folder: Path, suffix: str, count: int) -> list[Path]:
    """Return the first of :func:`files_below`."""
    return list(itertools.islice(files_below(folder, suffix), count))


def first_line(file: Path) -> str:
    """Return the first line of a text file, or the beginning of a long one; "?" where it cannot be read."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            return opened.readline(1 << 16).strip()
    except (OSError, ValueError):
        return "?"


def image_suffixes() -> frozenset[str]:
    """Return how the names of files may end that Pillow opens, in small letters with the dot."""
    suffixes = Image.registered_extensions()
    return frozenset(suffix for suffix, name in suffixes.items() if name in Image.OPEN)


def known_size(path: Path) -> Size:
    """Return width and height of an image, upright, from its header; None if it cannot be read."""
    try:
        height, width = image_size(path)
    except UnreadableImageError:
        return None, None
    return width, height


def find_image(images: Path, names: Iterable[str]) -> str:
    """Return the first of several possible names that is a file below the image folder.

    Args:
        images: The folder.
        names: As annotation tools write them: with either slash, from another folder or machine.

    Returns:
        Relative to the folder; if there is no such file, the first of the names without its folders.
    """
    candidates = [name.replace("\\", "/") for name in names]
    for name in candidates:
        relative = os.path.relpath(os.path.join(images, name), images)
        if not relative.startswith("../") and os.path.isfile(os.path.join(images, relative)):
            return Path(relative).as_posix()
    return candidates[0].rpartition("/")[2]
