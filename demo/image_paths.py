"""Which images to read, and where their pictures go."""

import glob
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from solo.errors import UserError

# Of what Pillow opens: videos, files that it has no decoder for, and those that a program draws.
_NO_IMAGES = {"MPEG", "BUFR", "GRIB", "HDF5", "WMF", "EPS"}
# What systems put into folders of images.
_OF_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
_MAX_NAMES = 5
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
# Of these a picture keeps the format of its image; all others become PNG.
_WRITABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class FoundImages(NamedTuple):
    """The images that the arguments of --input lead to."""

    paths: list[Path]  # each image once, in the order of the arguments
    problems: list[str]  # arguments that lead to none, in words
    left_out: list[Path]  # files of folders and patterns that Pillow cannot read


def find_images(arguments: Sequence[str]) -> FoundImages:
    """Resolve files, folders and globs.

    Args:
        arguments: Paths of images or of folders (whose own images are taken, not those of folders
            in them), and patterns such as "photos/**/*.jpg"; all may begin with ~.

    Returns:
        The images, what is wrong with the arguments that lead to none, and what was left out.
    """
    paths: dict[str, Path] = {}
    problems = []
    left_out = []
    for argument in arguments:
        try:
            images, others = _resolve(user_path(argument))
        except (OSError, UserError) as error:
            problems.append(str(error))
            continue
        if not images:
            lacks = (
                "a folder without images" if user_path(argument).is_dir() else "no image matches"
            )
            problems.append(f"{argument}: {lacks}.")
        left_out += others
        for path in images:
            paths.setdefault(os.path.abspath(path), path)
    return FoundImages(list(paths.values()), problems, left_out)


def user_path(text: str) -> Path:
    """Return a path of the command line; ~ is the user's folder, also where the shell leaves it."""
    return Path(os.path.expanduser(text))


def _resolve(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the images that an argument leads to, and the other files."""
    # Looked at before the glob, as a file's own name may hold a bracket.
    if path.is_dir():
        return _split(path.iterdir())
    if path.is_file():
        if path.suffix.lower() in VIDEO_SUFFIXES:
            raise UserError(f"{path}: a video; give it with --video.")
        return [path], []
    if glob.has_magic(str(path)):
        return _split(map(Path, glob.iglob(str(path), recursive=True)))
    raise FileNotFoundError(f"{path}: no such file or folder.")


def _split(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    images: list[Path] = []
    others: list[Path] = []
    for path in sorted(paths):
        # A hidden file may be one that is being written, or what macOS puts beside an image.
        if path.name.startswith(".") or path.name.lower() in _OF_SYSTEMS or not path.is_file():
            continue
        (images if path.suffix.lower() in image_suffixes() else others).append(path)
    return images, others


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes of the images that Pillow reads here, such as ".jpg"."""
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


def plan_outputs(images: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Decide where each image's picture goes.

    Args:
        images: The images.
        output: A folder; or a file, for one image.

    Returns:
        Output per image, no two of them the same.

    Raises:
        UserError: There are several images and one output file.
    """
    if output.suffix.lower() in _WRITABLE_SUFFIXES and not output.is_dir():
        if len(images) > 1:
            raise UserError(
                f"--output {output} names one file, and there are {len(images)} images: name a "
                "folder."
            )
        return dict.fromkeys(images, output)

    names = [_output_name(path) for path in images]
    # Compared without case: on some file systems, A.png and a.png are one file.
    lowered = [name.casefold() for name in names]
    taken: set[str] = set()
    planned = {}
    for path, name in zip(images, names, strict=True):
        if lowered.count(name.casefold()) > 1:
            name = f"{path.absolute().parent.name}_{name}"
        planned[path] = output / _unused(name, taken)
    return planned


def _output_name(image: Path) -> str:
    return image.name if image.suffix.lower() in _WRITABLE_SUFFIXES else f"{image.name}.png"


def _unused(name: str, taken: set[str]) -> str:
    stem, suffix = os.path.splitext(name)
    number = 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}_{number}{suffix}"
    taken.add(name.casefold())
    return name


def check_output(path: Path, inputs: Iterable[Path]) -> None:
    """Make sure that an output file is not one of the inputs.

    Raises:
        UserError: It is.
    """
    # Most outputs do not exist yet, and need no look at thousands of inputs.
    if path.exists() and any(path.samefile(each) for each in inputs if each.exists()):
        raise UserError(f"{path}: is an input, and is not overwritten; name another output.")
