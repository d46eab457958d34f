"""Which images to read, and where their pictures go."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from solo.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
# Of these a picture keeps the format of its image; all others become PNG.
_WRITABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class FoundImages(NamedTuple):
    """The images that the arguments of --input lead to."""

    paths: list[Path]  # each image once, in the order of the arguments
    problems: list[str]  # arguments that lead to none, in words


def find_images(arguments: Sequence[str]) -> FoundImages:
    """Resolve files, folders and globs.

    Args:
        arguments: Paths of images or of folders (whose own images are taken, not those of folders
            in them), and patterns such as "photos/**/*.jpg".

    Returns:
        The images, and what is wrong with the arguments that lead to none.
    """
    paths: dict[str, Path] = {}
    problems = []
    for argument in arguments:
        try:
            for path in _resolve(argument):
                paths.setdefault(os.path.abspath(path), path)
        except (OSError, UserError) as error:
            problems.append(str(error))
    return FoundImages(list(paths.values()), problems)


def _resolve(argument: str) -> list[Path]:
    path = Path(argument)
    # Looked at before the glob, as a file's own name may hold a bracket.
    if path.is_dir():
        images = sorted(_images_among(path.iterdir()))
        if not images:
            raise UserError(f"{argument}: a folder without images.")
        return images
    if path.is_file():
        if path.suffix.lower() in VIDEO_SUFFIXES:
            raise UserError(f"{argument}: a video; give it with --video.")
        return [path]
    if glob.has_magic(argument):
        images = sorted(_images_among(map(Path, glob.iglob(argument, recursive=True))))
        if not images:
            raise UserError(f"{argument}: no image matches.")
        return images
    raise FileNotFoundError(f"{argument}: no such file or folder.")


def _images_among(paths: Iterator[Path]) -> Iterator[Path]:
    # A hidden file may be one that is being written.
    shown = (path for path in paths if not path.name.startswith("."))
    return (path for path in shown if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


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
