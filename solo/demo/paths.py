"""Where what is drawn on images and videos goes."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from solo.errors import UserError
from solo.input_files import VIDEO_SUFFIXES, is_video

# Of these a picture keeps the format of its image; all others become PNG.
_WRITABLE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def plan_outputs(images: Sequence[Path], videos: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Decide where each image's picture, and each video's video, goes.

    Args:
        images: The images.
        videos: The videos, which become .mp4.
        output: A folder; or a file, for one image or one video.

    Returns:
        Output per input, no two of them the same.

    Raises:
        UserError: There are several inputs and one output file, or it has no name of a picture.
    """
    sources = [*images, *videos]
    if not output.is_dir() and _is_file_name(output, only_video=not images and len(videos) == 1):
        if len(sources) > 1:
            raise UserError(
                f"--output {output} names one file, and there are {len(sources)} inputs: name a "
                "folder."
            )
        if images and is_video(output):
            raise UserError(f"--output {output}: of an image it is a picture, such as .jpg.")
        return dict.fromkeys(sources, output)

    names = [*map(_picture_name, images), *(f"{video.stem}.mp4" for video in videos)]
    # Compared without case: on some file systems, A.png and a.png are one file.
    lowered = [name.casefold() for name in names]
    taken: set[str] = set()
    planned = {}
    for path, name in zip(sources, names, strict=True):
        if lowered.count(name.casefold()) > 1:
            name = f"{path.absolute().parent.name}_{name}"
        planned[path] = output / _unused(name, taken)
    return planned


def _is_file_name(output: Path, *, only_video: bool) -> bool:
    """Return whether an output is a file; of one video alone each suffix is, which .mp4 has to be."""
    suffix = output.suffix.lower()
    return bool(suffix) if only_video else suffix in (*_WRITABLE_SUFFIXES, *VIDEO_SUFFIXES)


def _picture_name(image: Path) -> str:
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


def path_of(video: Path | int) -> Path:
    """Return the file of a video; of a camera the name that its recording gets."""
    return video if isinstance(video, Path) else Path("webcam")
