"""A small document in COCO's format without a fault, and how other tools write the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco_mask
from PIL import Image

_SIZES = ((40, 64), (48, 48), (64, 40), (56, 60), (41, 63), (64, 64))
_CATEGORIES = (3, 8, 20)
_IDS = ("id", "image_id", "category_id")


def valid_document(folder: Path) -> dict[str, Any]:
    """Write six images of noise into a folder; return a document about them without a fault."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number, (height, width) in enumerate(_SIZES, 1):
        name = f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(
            folder / name
        )
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for place in ((4.0, 6.0), (width / 2 + 1.5, height / 2 - 3)):
            item = _object(len(annotations), (height, width), place)
            annotations.append({"id": len(annotations) + 1, "image_id": number, **item})
    categories = [{"id": number, "name": f"class {number}"} for number in _CATEGORIES]
    return {"images": images, "annotations": annotations, "categories": categories}


def _object(index: int, size: tuple[int, int], place: tuple[float, float]) -> dict[str, Any]:
    left, top = place
    polygon = [left, top, left + 16, top + 2, left + 14, top + 18, left + 1, top + 12]
    rle = coco_mask.frPyObjects([polygon], *size)[0]
    runs, ends = coco_mask.decode(rle).ravel(order="F"), size[0] * size[1]
    turns = np.flatnonzero(np.diff(runs)) + 1
    counts = np.diff([0, *turns, ends]).tolist()
    forms = (
        [polygon],
        {"size": list(size), "counts": rle["counts"].decode()},
        {"size": list(size), "counts": counts},
    )
    return {
        "category_id": _CATEGORIES[index % 3],
        "segmentation": forms[(index // 2) % 3],
        "bbox": coco_mask.toBbox(rle).tolist(),
        "area": float(coco_mask.area(rle)),
        "iscrowd": int(index == 5),
    }


def _each_field(
    document: dict[str, Any], names: tuple[str, ...], change: Callable[[Any], Any]
) -> None:
    """Change fields of these names in all entries."""
    for entry in (entry for section in document.values() for entry in section):
        for name in names:
            if name in entry:
                entry[name] = change(entry[name])


def _change_polygons(document: dict[str, Any], change: Callable[[list[float]], Any]) -> None:
    for item in document["annotations"]:
        if isinstance(item["segmentation"], list):
            item["segmentation"] = change(item["segmentation"][0])


def _leave_out(document: dict[str, Any], *names: str) -> None:
    for item in document["annotations"]:
        for name in names:
            del item[name]


# What people's tools write in all of a file.
DIALECTS: tuple[Callable[[dict[str, Any]], object], ...] = (
    lambda document: _each_field(document, _IDS, str),
    lambda document: _each_field(document, _IDS, float),
    lambda document: _each_field(document, _IDS, lambda number: number - 4),
    lambda document: _each_field(document, _IDS, lambda number: f"{number:032x}"),
    lambda document: _each_field(document, ("iscrowd",), str),
    lambda document: _each_field(document, ("iscrowd",), bool),
    lambda document: _each_field(document, ("bbox", "area"), lambda _: None),
    lambda document: _each_field(document, ("width", "height"), float),
    lambda document: _each_field(document, ("file_name",), "./{}".format),
    lambda document: _leave_out(document, "id", "area", "bbox", "iscrowd"),
    lambda document: _change_polygons(document, lambda points: points),
    lambda document: _change_polygons(document, lambda points: [points, points]),
    lambda document: _change_polygons(document, lambda points: [points, [0, 0, 3, 0, 3, 3]]),
    lambda document: _change_polygons(
        document, lambda points: [list(zip(points[::2], points[1::2], strict=True))]
    ),
    lambda document: _change_polygons(document, lambda points: [[n / 64 for n in points]]),
    lambda document: _change_polygons(document, lambda points: [list(map(str, points))]),
)
