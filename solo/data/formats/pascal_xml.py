"""Boxes in Pascal VOC's XML: one file for each image. There are no masks in them."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from solo.data.document import Raw
from solo.data.formats.file_heads import (
    files_below,
    find_image,
    first_files,
    image_suffixes,
    xml_root,
)
from solo.data.formats.raw_document import RawDocument, read_class_names, reading
from solo.errors import UserError

_SIDES = ("xmin", "ymin", "xmax", "ymax")
# A file of one image holds no more bytes than this.
_MOST_BYTES = 1 << 26


def looks_like_voc_xml(path: Path) -> bool:
    """Return whether a path is a file of boxes, or a folder of them.

    Raises:
        UserError: If the file declares a document type.
    """
    if path.is_dir():
        files = first_files(path, ".xml", 1)
        return bool(files) and looks_like_voc_xml(files[0])
    return path.suffix.lower() == ".xml" and xml_root(path) == "annotation"


def read_voc_xml(path: Path, images: Path) -> Raw:
    """Read the files of a folder, or one.

    Classes are those of a classes.txt or labels.txt beside the files or their folder, or else the
    names, sorted.

    Args:
        path: A file, or a folder of them, as Annotations or what holds it.
        images: The folder of the images.

    Raises:
        OSError: If a file cannot be read.
        UserError: If it is none of VOC's; names the file, and the line or the object.
    """
    files = [path] if path.is_file() else list(files_below(path, ".xml"))
    if not files:
        raise UserError(f"{path} holds no xml file: give the folder Annotations")
    raw = RawDocument(path)
    for file in files:
        _read_file(file, images, raw)
    folder = path if path.is_dir() else path.parent
    return raw.document(read_class_names(folder, folder.parent, images))


def _read_file(file: Path, images: Path, raw: RawDocument) -> None:
    if file.stat().st_size > _MOST_BYTES or xml_root(file) != "annotation":
        raise UserError(
            f"{file} is no file of VOC's boxes: its outermost element is no <annotation>"
        )
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise UserError(f"{file} is no XML: {error}") from error
    name = _text(root, "filename") or file.stem
    names = [name, *(f"{file.stem}{suffix}" for suffix in _suffixes(name))]
    raw.add_image(find_image(images, names), _size(root, "width"), _size(root, "height"))
    for number, item in enumerate(root.iter("object"), 1):
        place = f"{file.name}: object {number}"
        with reading(str(file.with_name(place))):
            left, top, right, bottom = (
                float(_text(item, f"bndbox/{side}") or "nan") for side in _SIDES
            )
        # Corners are pixels, counted from 1, the last one included.
        box = [left - 1, top - 1, right - left + 1, bottom - top + 1]
        raw.add_box(place, _text(item, "name") or None, box)


def _suffixes(name: str) -> list[str]:
    """Return how the file of an image may end whose name is wrong: most likely as the name does."""
    first = Path(name).suffix
    return [first, *sorted(image_suffixes(), key=lambda suffix: (suffix not in _COMMON, suffix))]


_COMMON = (".jpg", ".jpeg", ".png")


def _text(element: ElementTree.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _size(root: ElementTree.Element, side: str) -> Any:
    """Return a side of the image as a number; None if it is not known, which tools write as 0."""
    text = _text(root, f"size/{side}")
    return int(text) or None if text.isdigit() else text or None
