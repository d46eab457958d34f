"""LabelMe: one json for each image, beside it or in a folder of its own."""

import base64
import io
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from solo.data.document import Raw
from solo.data.formats.file_heads import files_below, find_image, first_files, json_keys, read_json
from solo.data.formats.outlines import ellipse, rectangle
from solo.data.formats.raw_document import (
    MOST_MASK_PIXELS,
    NO_CLASSES,
    RawDocument,
    Shape,
    flat_polygon,
    mask_in_image,
    read_class_names,
    reading,
)
from solo.errors import UserError

logger = logging.getLogger(__name__)

# Shapes without an area: no objects.
_NO_AREAS = ("point", "points", "line", "linestrip", "linestring")


def looks_like_labelme(path: Path) -> bool:
    """Return whether a path is a file of LabelMe's, or a folder of them."""
    if path.is_dir():
        files = first_files(path, ".json", 1)
        return bool(files) and looks_like_labelme(files[0])
    keys, _ = json_keys(path)
    return bool(keys & {"shapes", "imagePath", "imageData"}) and "images" not in keys


def read_labelme(path: Path, images: Path) -> Raw:
    """Read the files of a folder, or one.

    Classes are those of a classes.txt or labels.txt beside the files, or else their labels, sorted.
    A polygon, rectangle, circle or mask is an object; those of one label and group_id are one.

    Args:
        path: A json file, or a folder of them, which may have folders.
        images: The folder of the images; names of the files are looked for from the json, and here.

    Raises:
        OSError: If a file cannot be read.
        UserError: If it is none of LabelMe's; names the file, and the shape.
    """
    files = [path] if path.is_file() else list(files_below(path, ".json"))
    if not files:
        raise UserError(f"{path} holds no json file: is it the folder where LabelMe saved them?")
    raw = RawDocument(path)
    inline = sum(_read_file(file, images, raw) for file in files)
    if inline:
        logger.warning("%s: %d images are inside their json only: save them as files", path, inline)
    folder = path if path.is_dir() else path.parent
    return raw.document(read_class_names(folder, images, folder.parent))


def _read_file(file: Path, images: Path, raw: RawDocument) -> bool:
    """Add the image of a file and its objects; return whether it is in the file alone."""
    content = read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise UserError(f"{file} has no list of shapes: it is none of LabelMe's, move it elsewhere")
    size = content.get("imageHeight"), content.get("imageWidth")
    name = _image_name(file, content.get("imagePath"), images)
    raw.add_image(name, size[1], size[0])
    shapes = []
    for number, item in enumerate(content["shapes"], 1):
        place = f"{file.name}: shape {number}"
        with reading(str(file.with_name(place))):
            kind = item.get("shape_type") or "polygon"
            if kind in _NO_AREAS:
                raw.no_areas[kind] += 1
            elif item.get("label") not in NO_CLASSES:
                mask = _MASKS[kind](item, size) if kind in _MASKS else _unknown(kind)
                group = item.get("group_id")
                shapes.append(
                    Shape(place, item.get("label"), mask, group, is_rectangle=kind == "rectangle")
                )
    raw.add_shapes(shapes, size)
    return bool(content.get("imageData")) and not (images / name).is_file()


def _image_name(file: Path, image_path: Any, images: Path) -> str:
    """Return the name of the image of a file, which LabelMe writes relative to the json."""
    written = str(image_path or f"{file.stem}.jpg").replace("\\", "/")
    base = written.rpartition("/")[2]
    beside = Path(file.parent, written).absolute()
    same_stem = f"{file.stem}.{base.rpartition('.')[2]}"
    return find_image(images.absolute(), [str(beside), written, base, same_stem])


def _polygon(item: dict[str, Any], _: Any) -> Any:
    return [flat_polygon(item["points"])]


def _rectangle(item: dict[str, Any], _: Any) -> Any:
    """Two opposite corners in any order; other tools write all four."""
    x, y = zip(*_floats(item["points"]), strict=True)
    return [rectangle(min(x), min(y), max(x), max(y))]


def _circle(item: dict[str, Any], _: Any) -> Any:
    """The first point is its centre, the second lies on it."""
    center, (x, y) = _floats(item["points"])
    radius = math.hypot(x - center[0], y - center[1])
    return [ellipse(center, (radius, radius))]


def _mask(item: dict[str, Any], size: tuple[Any, Any]) -> Any:
    """A PNG of the box whose first point is its upper left corner."""
    left, top = (round(number) for number in _floats(item["points"])[0])
    try:
        with Image.open(io.BytesIO(base64.b64decode(item["mask"]))) as picture:
            width, height = picture.size
            if width > int(size[1]) or height > int(size[0]) or width * height > MOST_MASK_PIXELS:
                raise ValueError(f"it has {width}x{height} pixels")
            pixels = np.asarray(picture.convert("L")) != 0
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ValueError(f"its mask is no picture of a part of the image: {error}") from error
    return mask_in_image(pixels, (top, left), size)


def _unknown(kind: Any) -> Any:
    raise ValueError(f"its shape_type is {kind!r:.40}")


def _floats(points: Any) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points]


_MASKS = {
    "polygon": _polygon,
    "oriented_rectangle": _polygon,
    "rotation": _polygon,  # the same of other tools
    "rectangle": _rectangle,
    "circle": _circle,
    "mask": _mask,
}
