"""VisDrone's text files of boxes: one for each image, a line for each object. There are no masks in them.

A line is left,top,width,height,score,category,truncation,occlusion, in pixels. Its regions to be ignored become
crowds, which training leaves out, and in which evaluation counts nothing as wrong.
"""

from pathlib import Path

from solo.data.document import Raw
from solo.data.formats.file_heads import (
    Size,
    files_below,
    find_image,
    first_files,
    first_line,
    image_suffixes,
    known_size,
)
from solo.data.formats.instance_map import read_all
from solo.data.formats.raw_document import RawDocument, reading
from solo.errors import UserError

# Of the numbers 1 to 10.
CLASSES = (
    *("pedestrian", "people", "bicycle", "car", "van", "truck"),
    *("tricycle", "awning-tricycle", "bus", "motor"),
)
# A region in which nobody looked for objects of any class; objects of no class.
_IGNORED, _OTHERS = 0, 11
_NUMBERS = 8
# Files that are looked into to tell the format: those of images without objects are empty.
_TRIED = 50


def looks_like_visdrone(path: Path) -> bool:
    """Return whether a path is a file of VisDrone's lines, or a folder of such files."""
    files = first_files(path, ".txt", _TRIED) if path.is_dir() else [path]
    if path.is_file() and path.suffix.lower() != ".txt":
        return False
    lines = [line for file in files if (line := first_line(file))]
    return bool(lines) and all(map(_is_line, lines))


def read_visdrone(path: Path, images: Path) -> Raw:
    """Read the files of a folder, or one.

    Args:
        path: A file, or a folder of them, as annotations or what holds it.
        images: The folder of the images, which have the names of the files, in the same folders or in it.

    Raises:
        OSError: If a file cannot be read.
        UserError: If it is none of VisDrone's; names the file, and the line.
    """
    files = [path] if path.is_file() else list(files_below(path, ".txt"))
    if not files:
        raise UserError(f"{path} holds no txt file: give the folder annotations")
    folder = path if path.is_dir() else path.parent
    suffixes = sorted(image_suffixes(), key=lambda suffix: (suffix != ".jpg", suffix))

    def read_file(file: Path) -> tuple[str, Size, list[str]]:
        own = file.relative_to(folder).with_suffix("")
        name = find_image(images, [f"{one}{end}" for one in (own, own.name) for end in suffixes])
        with reading(str(file)):
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        return name, known_size(images / name), lines

    raw = RawDocument(path)
    for file, (name, size, lines) in zip(files, read_all(read_file, files, path.name), strict=True):
        raw.add_image(name, *size)
        for number, line in enumerate(lines, 1):
            if line.strip():
                with reading(f"{file}, line {number}"):
                    _add_line(raw, f"{file.name}:{number}", line)
    return raw.document(CLASSES)


def _add_line(raw: RawDocument, place: str, line: str) -> None:
    """Add what a line says, if it is of a class or of none at all."""
    *box, score, category, _, _ = _numbers(line)
    if category == _OTHERS:
        return
    if category == _IGNORED:
        for name in CLASSES:  # a crowd is of one class
            raw.add_box(f"{place} ({name})", name, box, is_crowd=True)
        return
    is_known = 0 < category <= len(CLASSES)
    name = CLASSES[int(category) - 1] if is_known else f"{category:g}"
    raw.add_box(place, name, box, is_crowd=not score)


def _numbers(line: str) -> list[float]:
    """Return the numbers of a line, which may end with a comma.

    Raises:
        ValueError: If there are more or fewer, or something else.
    """
    numbers = [float(text) for text in line.strip().rstrip(",").split(",")]
    if len(numbers) != _NUMBERS:
        raise ValueError(f"it has {len(numbers)} numbers, where {_NUMBERS} are meant")
    return numbers


def _is_line(line: str) -> bool:
    try:
        return bool(_numbers(line))
    except ValueError:
        return False
