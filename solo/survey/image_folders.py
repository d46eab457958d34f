"""Where the images of annotations lie: in the folder below which most of their names are those of files."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from solo.config.choices import AnnotationFormat
from solo.data.formats.file_heads import files_below, image_suffixes
from solo.data.formats.raw_document import CLASS_FILES
from solo.data.formats.registry import read_annotations
from solo.data.formats.yolo_files import YAML_SUFFIXES, find_files, parse_path

# Formats of a text file for each image, whose name it has.
OF_TEXT = (AnnotationFormat.YOLO, AnnotationFormat.VISDRONE)
# Names of images that are looked for.
_TRIED = 100


def pictures_below(folder: Path) -> list[Path]:
    """Return the images in a folder, and in those in it."""
    return list(files_below(folder, tuple(image_suffixes())))


def image_folder(
    form: AnnotationFormat, path: Path, root: Path, *, prefer: Callable[[Path], bool]
) -> Path | None:
    """Return the folder of the images of annotations; None if none of their files is found.

    Args:
        form: Of the annotations.
        path: Of the annotations.
        root: The folder to look in.
        prefer: Which of folders, relative to `root`, that have the names alike is meant.

    Raises:
        OSError: A file cannot be read.
        UserError: The annotations cannot be read.
    """
    if form == AnnotationFormat.YOLO and parse_path(path)[0].suffix.lower() in YAML_SUFFIXES:
        images = [pair.image.parent for pair in find_files(path, root).pairs]
        return Path(os.path.commonpath(images))
    names = _names(form, path, root)
    if names and all(name.is_absolute() for name in names):
        found = [Path(name).parent for name in names if Path(name).is_file()]
        return Path(os.path.commonpath(found)) if found else None
    votes = _votes(names, root, with_suffix=form not in OF_TEXT)

    def rank(folder: Path) -> tuple[int, bool, int, int]:
        near = len(os.path.commonpath([folder, path]))
        return votes[folder], prefer(folder.relative_to(root)), near, -len(folder.parts)

    return max(votes, key=rank, default=None)


def _votes(names: list[PurePosixPath], root: Path, *, with_suffix: bool) -> Counter[Path]:
    """Count, for each folder, the names that are files below it."""
    known: dict[str, list[Path]] = {}
    for picture in pictures_below(root):
        picture = picture if with_suffix else picture.with_suffix("")
        known.setdefault(picture.name, []).append(picture)
    votes: Counter[Path] = Counter()
    for name in names:
        depth = len(name.parts)
        for picture in known.get(name.name, ()):
            folder = Path(*picture.parts[:-depth])
            if picture.parts[-depth:] == name.parts and folder.is_relative_to(root):
                votes[folder] += 1
    return votes


def _names(form: AnnotationFormat, path: Path, root: Path) -> list[PurePosixPath]:
    """Return the first names of the images of annotations, of text files without suffixes."""
    if form in OF_TEXT:
        labels = (file for file in files_below(path, ".txt") if file.name not in CLASS_FILES)
        return [PurePosixPath(file.relative_to(path).with_suffix("")) for file in labels][:_TRIED]
    with _quiet():  # what is odd is told by those who use what they read
        images = read_annotations(path, root, form).get("images")
    entries = [entry for entry in images or () if isinstance(entry, dict)][:_TRIED]
    names = [str(entry.get("file_name") or "").replace("\\", "/") for entry in entries]
    return [PurePosixPath(name) for name in names if name]


@contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("solo.data")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
