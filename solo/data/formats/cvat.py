"""CVAT for images 1.1: one XML file for all images, read an image at a time."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from solo.data.document import Raw
from solo.data.formats.file_heads import find_image, xml_root
from solo.data.formats.outlines import ellipse, rectangle
from solo.data.formats.raw_document import (
    MOST_MASK_PIXELS,
    RawDocument,
    Shape,
    mask_in_image,
    reading,
)
from solo.errors import UserError

_NO_AREAS = ("polyline", "points", "skeleton", "cuboid")
_AREAS = ("polygon", "box", "ellipse", "mask")


def looks_like_cvat(path: Path) -> bool:
    """Return whether a path is an XML file of CVAT's, or the folder of an export.

    Raises:
        UserError: If it declares a document type.
    """
    path = _file(path)
    return path.suffix.lower() == ".xml" and xml_root(path) == "annotations"


def read_cvat(path: Path, images: Path) -> Raw:
    """Read an export "CVAT for images 1.1"; classes are in the order of its labels.

    Shapes of one label and group are one object.

    Args:
        path: The XML file, or the folder with its annotations.xml.
        images: The folder of the images, and of their subsets in the export of a project.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is none of CVAT's, or broken; names the image and the shape, or the line.
    """
    path = _file(path)
    with path.open("rb"):  # a missing file is told as such
        root = xml_root(path)
    if root != "annotations":
        raise UserError(f"{path} is no export of CVAT: its outermost element is no <annotations>")
    raw, labels = RawDocument(path), []
    try:
        for element in _elements(path):
            if element.tag == "meta":
                labels = _labels(element)
            elif element.tag == "track":
                raise UserError(
                    f"{path} holds the tracks of a video: export it as 'CVAT for images 1.1'"
                )
            else:
                _read_image(path, element, images, raw)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no XML: {error}") from error
    return raw.document(labels)


def _file(path: Path) -> Path:
    return path / "annotations.xml" if path.is_dir() else path


def _elements(path: Path) -> Iterator[Element]:
    """Yield the elements below the outermost one, each of which is forgotten afterwards."""
    depth, root = 0, None
    for event, element in ElementTree.iterparse(path, events=("start", "end")):
        root = element if root is None else root
        depth += 1 if event == "start" else -1
        if event == "end" and depth == 1:
            if element.tag in ("meta", "image", "track"):
                yield element
            root.clear()


def _labels(meta: Element) -> list[str]:
    """Return the names of the labels, but for the joints of skeletons."""
    labels = (label for label in meta.iter("label") if label.find("parent") is None)
    names = ((label.findtext("name") or "").strip() for label in labels)
    return list(dict.fromkeys(name for name in names if name))


def _read_image(path: Path, image: Element, images: Path, raw: RawDocument) -> None:
    name = image.get("name") or ""
    if not name:
        raise UserError(f"{path}: an image has no name")
    width, height = (_whole(image.get(side)) for side in ("width", "height"))
    subset = image.get("subset")
    found = find_image(images, [*([f"{subset}/{name}"] if subset else ()), name, _base(name)])
    raw.add_image(found, width, height)
    shapes = list(_shapes(path, image, found, (height, width), raw.no_areas))
    raw.add_shapes(shapes, (height, width))


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _whole(text: str | None) -> Any:
    """Return a text as a number if it is a whole one, else as it is."""
    return int(text) if text and text.isdigit() else text


def _shapes(
    path: Path, image: Element, name: str, size: tuple[Any, Any], no_areas: Counter[str]
) -> Iterator[Shape]:
    for number, element in enumerate(image, 1):
        if element.tag in _NO_AREAS:
            no_areas[element.tag] += 1
        if element.tag not in _AREAS:  # a tag of the image
            continue
        place = f"{name}: shape {number}"
        with reading(f"{path}, {place}"):
            mask = _MASKS[element.tag](element, size)
        group = element.get("group_id")
        yield Shape(
            place,
            element.get("label"),
            mask,
            None if group in (None, "0") else group,
            is_rectangle=element.tag == "box",
        )


def _polygon(element: Element, _: Any) -> Any:
    pairs = [pair.split(",") for pair in element.attrib["points"].split(";")]
    return [[float(number) for x, y in pairs for number in (x, y)]]


def _box(element: Element, _: Any) -> Any:
    left, top, right, bottom = (float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
    return [rectangle(left, top, right, bottom, _angle(element))]


def _ellipse(element: Element, _: Any) -> Any:
    x, y, *radii = (float(element.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
    return [ellipse((x, y), (radii[0], radii[1]), _angle(element))]


def _angle(element: Element) -> float:
    return math.radians(float(element.get("rotation") or 0))


def _mask(element: Element, size: tuple[Any, Any]) -> Any:
    """Run lengths of a box, by rows, of pixels outside first."""
    left, top, width, height = (
        int(element.attrib[key]) for key in ("left", "top", "width", "height")
    )
    lengths = [int(length) for length in element.attrib["rle"].split(",")]
    if not (width > 0 and height > 0 and width * height <= MOST_MASK_PIXELS):
        raise ValueError(f"its mask has {width}x{height} pixels")
    if min(lengths) < 0 or sum(lengths) > width * height:
        raise ValueError(f"its run lengths are more than its {width}x{height} pixels")
    pixels = np.zeros(width * height, dtype=bool)
    runs = (np.arange(len(lengths)) % 2 == 1).repeat(lengths)
    pixels[: len(runs)] = runs  # the last pixels outside may be left out
    return mask_in_image(pixels.reshape(height, width), (top, left), size)


_MASKS = {"polygon": _polygon, "box": _box, "ellipse": _ellipse, "mask": _mask}
