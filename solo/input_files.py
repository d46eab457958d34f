"""Which images and videos words of a command line lead to: files, folders, patterns."""

import difflib
import glob
import itertools
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from solo.errors import UserError

# Of what Pillow opens: videos, files that it has no decoder for, and those that a program draws.
_NO_IMAGES = {"MPEG", "BUFR", "GRIB", "HDF5", "WMF", "EPS"}
# What systems put into folders of images.
_OF_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_MAX_NAMES = 5
# Of a folder, where a name is missing: more take seconds to compare.
_MAX_COMPARED = 10_000
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")


class Inputs(NamedTuple):
    """What the words of a command line lead to."""

    images: list[Path]  # each once, in the order of the words, as are videos
    videos: list[Path]
    problems: list[str]  # words that lead to none, in words
    left_out: list[Path]  # files of folders and patterns that Pillow cannot read


def find_inputs(words: Sequence[str], *, videos: bool = True, output: Path | None = None) -> Inputs:
    """Resolve files, folders and globs.

    Args:
        words: Paths of images, of videos or of folders (whose own images are taken, not those of
            folders in them), and patterns such as "photos/**/*.jpg"; all may begin with ~.
        videos: Whether words and patterns may be of videos, which are told by their suffix.
        output: A folder that "**" does not go into: it may hold the pictures of the last time.

    Returns:
        The images and videos, what is wrong with the words that lead to none, and what was left out.
    """
    paths: dict[str, Path] = {}
    problems = []
    left_out = []
    for word in words:
        try:
            found, others = _resolve(word, videos, output)
        except (OSError, UserError) as error:
            problems.append(str(error))
            continue
        if not found:
            lacks = "a folder without images" if user_path(word).is_dir() else "no image matches"
            problems.append(f"{word}: {lacks}.")
        left_out += others
        for path in found:
            paths.setdefault(os.path.abspath(path), path)
    return Inputs(
        images=[path for path in paths.values() if not is_video(path)],
        videos=[path for path in paths.values() if is_video(path)],
        problems=problems,
        left_out=left_out,
    )


def user_path(text: str) -> Path:
    """Return a path of the command line; ~ is the user's folder, also where the shell leaves it."""
    return Path(os.path.expanduser(text))


def is_video(path: Path) -> bool:
    """Return whether a file has the name of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def _resolve(word: str, videos: bool, output: Path | None) -> tuple[list[Path], list[Path]]:
    """Return the images and videos that a word leads to, and the other files."""
    path = user_path(word)
    # Looked at before the glob, as a file's own name may hold a bracket.
    if path.is_dir():
        return _split(path.iterdir(), image_suffixes())
    if path.is_file():
        if is_video(path) and not videos:
            raise UserError(f"{path}: a video; give it with --video.")
        return [path], []
    if "://" in word:
        raise UserError(f"{word}: an address; download it, and give the file.")
    if glob.has_magic(str(path)):
        suffixes = image_suffixes().union(VIDEO_SUFFIXES if videos else ())
        matches: Iterable[Path] = map(Path, glob.iglob(str(path), recursive=True))
        begin, stars, _ = str(path).partition("**")
        if output and stars and not _is_within(Path(begin), output):
            matches = filter(lambda match: not _is_within(match, output), matches)
        return _split(matches, suffixes)
    raise FileNotFoundError(f"{path}: no such file or folder{_what_was_meant(path)}")


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))


def _what_was_meant(path: Path) -> str:
    """Return the end of a sentence about a path that is not there, with the nearest name that is."""
    while not path.parent.is_dir():
        path = path.parent
    entries = itertools.islice(path.parent.iterdir(), _MAX_COMPARED)
    names = {entry.name.casefold(): entry for entry in entries}
    close = difflib.get_close_matches(path.name.casefold(), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else "."


def _split(paths: Iterable[Path], suffixes: frozenset[str]) -> tuple[list[Path], list[Path]]:
    """Return the files with one of these suffixes, and the others."""
    chosen: list[Path] = []
    others: list[Path] = []
    for path in sorted(paths):
        # A hidden file may be one that is being written, or what macOS puts beside an image.
        if path.name.startswith(".") or path.name.lower() in _OF_SYSTEMS or not path.is_file():
            continue
        (chosen if path.suffix.lower() in suffixes else others).append(path)
    return chosen, others


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of the images that Pillow reads here, such as ".jpg"."""
    from PIL import Image  # `solo predict --help` needs none

    Image.init()
    kinds = Image.OPEN.keys() - _NO_IMAGES
    return frozenset(
        suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds
    )


def describe_left_out(paths: Sequence[Path]) -> str:
    """Say in one line which files are no images."""
    names = ", ".join(map(str, paths[:_MAX_NAMES]))
    more = f" and {len(paths) - _MAX_NAMES} more" if len(paths) > _MAX_NAMES else ""
    return f"left out, no images that Pillow can read: {names}{more}"
