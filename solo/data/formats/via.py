"""VIA, the VGG Image Annotator, versions 1 and 2: a project, or the annotations that it exports."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from solo.data.document import Raw
from solo.data.formats.file_heads import find_image, json_keys, known_size, read_json
from solo.data.formats.instance_map import read_all
from solo.data.formats.outlines import ellipse, rectangle
from solo.data.formats.raw_document import RawDocument, Shape, read_class_names, reading
from solo.errors import UserError

_PROJECT = "_via_img_metadata"
_NO_AREAS = ("point", "polyline", "line")
# The class of objects that have no attributes.
_ONLY_CLASS = "object"


def looks_like_via(path: Path) -> bool:
    """Return whether a path is a project of VIA 2, or what it, or VIA 1, exports as json."""
    keys, inner = json_keys(path) if path.is_file() else (set(), set())
    return any(key.startswith("_via_") for key in keys) or {"filename", "regions"} <= inner


def read_via(path: Path, images: Path) -> Raw:
    """Read a project, or exported annotations.

    The class is in the attribute of regions that most of them have; without any attribute all are
    of one class. Classes are those of a classes.txt beside the file, or the options of the attribute
    in a project, or else the values, sorted.

    Args:
        path: The json file.
        images: The folder of the images, which have to be there: VIA does not write their sizes.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is none of VIA's; names the image, and the region.
    """
    content = read_json(path)
    entries = content.get(_PROJECT, content) if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        raise UserError(f"{path} is none of VIA's: it has no images with a filename and regions")
    regions = [_regions(entry) for entry in entries.values()]
    attribute = _class_attribute(regions)
    names = [_image_name(entry["filename"], images) for entry in entries.values()]
    sizes = read_all(known_size, [images / name for name in names], path.name)
    raw = RawDocument(path)
    for name, size, found in zip(names, sizes, regions, strict=True):
        raw.add_image(name, *size)
        raw.add_shapes(_shapes(path, name, found, attribute, raw.no_areas), size[::-1])
    options = _options(content, attribute)
    used = {item["category_id"] for item in raw.annotations}
    return raw.document(
        read_class_names(path.parent, images) or (options if used <= {*options, None} else ())
    )


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("filename"), str)


def _regions(entry: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return the numbers and the regions of an image: VIA 1 has them by their numbers."""
    regions = entry.get("regions") or []
    return list(regions.items() if isinstance(regions, dict) else enumerate(regions))


def _class_attribute(regions: Sequence[Sequence[tuple[Any, Any]]]) -> str | None:
    """Return the attribute that most regions have a value of; None if none has any.

    Of several it is the one of the fewest values: the others number or describe the objects.
    """
    values: dict[str, list[str]] = {}
    for _, region in (pair for found in regions for pair in found):
        attributes = region.get("region_attributes") if isinstance(region, dict) else None
        for name, value in attributes.items() if isinstance(attributes, dict) else ():
            if (text := _value(value)) is not None:
                values.setdefault(name, []).append(text)
    return max(values, key=lambda name: (len(values[name]), -len(set(values[name]))), default=None)


def _value(value: Any) -> str | None:
    """Return what an attribute says; None if nothing, or several things at once."""
    if isinstance(value, dict):  # checkboxes
        chosen = [name for name, is_chosen in value.items() if is_chosen]
        return str(chosen[0]) if len(chosen) == 1 else None
    return str(value).strip() or None if isinstance(value, str | int) else None


def _options(content: dict[str, Any], attribute: str | None) -> list[str]:
    """Return the values that a project offers for an attribute."""
    node: Any = content
    for key in ("_via_attributes", "region", attribute, "options"):
        node = node.get(key) if isinstance(node, dict) else None
    return [str(name) for name in node] if isinstance(node, dict) else []


def _image_name(filename: str, images: Path) -> str:
    """Return the name of an image that may be given by a path, or by an address of the net."""
    address = unquote(urlsplit(filename).path) if "://" in filename else filename
    base = address.replace("\\", "/").rpartition("/")[2]
    return find_image(images, [address.lstrip("/") if "://" in filename else address, base])


def _shapes(
    path: Path,
    image: str,
    regions: Sequence[tuple[Any, Any]],
    attribute: str | None,
    no_areas: Counter[str],
) -> Iterator[Shape]:
    for number, region in regions:
        place = f"{image}: region {number}"
        with reading(f"{path}, {place}"):
            drawn = region["shape_attributes"]
            kind = drawn["name"]
            if kind in _NO_AREAS:
                no_areas[kind] += 1
                continue
            attributes = region.get("region_attributes") or {}
            label = _value(attributes.get(attribute)) if attribute else _ONLY_CLASS
            mask = [_polygon(kind, drawn)]
        yield Shape(place, label, mask, is_rectangle=kind == "rect")


def _polygon(kind: Any, drawn: dict[str, Any]) -> list[Any]:
    if kind == "polygon":
        pairs = zip(drawn["all_points_x"], drawn["all_points_y"], strict=True)
        return [number for pair in pairs for number in pair]
    if kind == "rect":
        left, top, width, height = (float(drawn[key]) for key in ("x", "y", "width", "height"))
        return rectangle(left, top, left + width, top + height)
    if kind == "circle":
        radii = (float(drawn["r"]),) * 2
    elif kind == "ellipse":
        radii = float(drawn["rx"]), float(drawn["ry"])
    else:
        raise ValueError(f"its shape is {kind!r:.40}")
    center = float(drawn["cx"]), float(drawn["cy"])
    return ellipse(center, radii, float(drawn.get("theta") or 0))
