"""What the readers of foreign formats fill: a document in COCO's shape, which the loader judges.

They understand the syntax of their format, and nothing else: numbers go through as they are written.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pycocotools import mask as coco_mask

from solo.data.document import Raw
from solo.data.mask_forms import read_mask
from solo.data.plain_values import MOST_PIXELS
from solo.errors import UserError
from solo.structures.region import region_of_polygons
from solo.structures.run_lengths import RLE, place_mask

logger = logging.getLogger(__name__)

Polygons = list[list[Any]]

# Files beside annotations that may list the classes, one a line, in the order of the model's channels.
CLASS_FILES = ("classes.txt", "labels.txt")
# Lines of LabelMe's own class files that are no classes.
NO_CLASSES = ("__ignore__", "_background_")
# Pixels of a mask that is written as such; a few of them fit into the memory of any machine.
MOST_MASK_PIXELS = 1 << 28


class Shape(NamedTuple):
    """What was drawn around an object, or around a part of one.

    Attributes:
        place: Where it stands, as in "a.json: shape 2".
        label: The name of its class, as it is written.
        mask: Polygons, or run lengths.
        group: What the shapes of one object have in common; None if it is an object of its own.
        is_rectangle: Whether it has the sides of a box.
    """

    place: str
    label: Any
    mask: Polygons | RLE
    group: Any = None
    is_rectangle: bool = False


class RawDocument:
    """Collects images and objects.

    Args:
        path: Of the annotations, for what is said of them.
    """

    def __init__(self, path: Path) -> None:
        """Begin with nothing."""
        self.path = path
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.no_areas: Counter[str] = Counter()
        self._rectangles = 0

    def add_image(self, file_name: str, width: Any, height: Any) -> None:
        """Add an image; None is a size that nobody knows."""
        sizes = {"height": height, "width": width}
        known = {side: value for side, value in sizes.items() if value is not None}
        self.images.append({"id": file_name, "file_name": file_name, **known})

    def add_shapes(self, shapes: Iterable[Shape], size: tuple[Any, Any]) -> None:
        """Add the objects of the latest image; shapes of one label and group are one object.

        Args:
            shapes: What was drawn.
            size: (H, W) of the image, as it is written.

        Raises:
            UserError: If shapes of a group cannot be joined.
        """
        objects: dict[Any, list[Shape]] = {}
        for number, shape in enumerate(shapes):
            key = number if shape.group is None else (str(shape.label), str(shape.group))
            objects.setdefault(key, []).append(shape)
        for parts in objects.values():
            with reading(parts[0].place):
                mask = _joined([part.mask for part in parts], size)
            self._rectangles += len(parts) == 1 and parts[0].is_rectangle
            self._add(parts[0].place, parts[0].label, {"segmentation": mask})

    def add_box(self, place: str, label: Any, bbox: list[Any], *, is_crowd: bool = False) -> None:
        """Add an object, or a crowd, of the latest image that has no mask, by its XYWH box in pixels."""
        self._add(place, label, {"bbox": bbox, "iscrowd": int(is_crowd)})

    def document(self, names: Sequence[str] = ()) -> Raw:
        """Return what was collected, in COCO's shape, and warn of what is no object.

        Args:
            names: Of the classes, in the order of the model's channels. Empty: those that objects
                have, sorted. Objects of another class keep its name for a number, so that the loader
                finds and tells it.
        """
        self._warn()
        names = names or sorted({item["category_id"] for item in self.annotations} - {None, ""})
        numbers = {name: number for number, name in enumerate(names, 1)}
        for item in self.annotations:
            item["category_id"] = numbers.get(item["category_id"], item["category_id"])
        return {
            "images": self.images,
            "annotations": self.annotations,
            "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        }

    def _add(self, place: str, label: Any, mask: dict[str, Any]) -> None:
        self.annotations.append(
            {
                "id": place,
                "image_id": self.images[-1]["id"],
                "category_id": label if label is None else str(label),
                **mask,
            }
        )

    def _warn(self) -> None:
        if self.no_areas:
            kinds = ", ".join(f"{count} x {kind}" for kind, count in self.no_areas.most_common())
            logger.warning("%s: left out what has no area: %s", self.path, kinds)
        if self._rectangles and self._rectangles == len(self.annotations):
            logger.warning(
                "%s: all %d objects are rectangles, and so are the masks that are learnt from them",
                self.path,
                self._rectangles,
            )


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn what goes wrong with a stranger's structure into a sentence; only for the lines that take it apart.

    Args:
        place: Which file, and where in it.

    Raises:
        UserError: In place of what missing fields, and values of another type, raise.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    except KeyError as error:
        raise UserError(f"{place}: it lacks {error}") from error
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f"{place}: it cannot be understood ({error})") from error


def read_class_names(*folders: Path) -> list[str]:
    """Return the lines of the first file of classes in one of the folders; none if there is no file.

    Raises:
        UserError: If it is no text.
    """
    for file in (folder / name for folder in folders for name in CLASS_FILES):
        if file.is_file():
            with reading(str(file)):
                lines = file.read_text(encoding="utf-8-sig").splitlines()
            return [name for line in lines if (name := line.strip()) and name not in NO_CLASSES]
    return []


def flat_polygon(points: Any) -> list[Any]:
    """Return corners [[x, y], ...] as [x, y, ...].

    Raises:
        ValueError: If they are no list of pairs.
    """
    if not isinstance(points, list) or not all(
        isinstance(point, list | tuple) and len(point) == 2 for point in points
    ):
        raise ValueError(f"its points are no list of pairs: {points!r:.60}")
    return [number for point in points for number in point]


def mask_in_image(pixels: np.ndarray, corner: tuple[int, int], size: tuple[Any, Any]) -> RLE:
    """Return the run lengths of a mask that lies in an image, cut off at its borders.

    Args:
        pixels: (h, w) bool.
        corner: Row and column of the image where its first pixel lies.
        size: (H, W) of the image.

    Raises:
        ValueError: If the image cannot be of this size.
    """
    height, width = int(size[0]), int(size[1])
    if not (height > 0 and width > 0 and height * width <= MOST_PIXELS):
        raise ValueError(f"its image is said to have {width}x{height} pixels")
    top, left = corner
    inside = pixels[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    if not inside.size:
        top, left, inside = 0, 0, np.zeros((1, 1), dtype=bool)
    return _as_text(place_mask(inside, (max(top, 0), max(left, 0)), (height, width)))


def _joined(masks: Sequence[Polygons | RLE], size: tuple[Any, Any]) -> Polygons | RLE:
    """Return the parts of an object as one mask: polygons while there are only those."""
    if len(masks) == 1:
        return masks[0]
    polygons = [mask for mask in masks if isinstance(mask, list)]
    if len(polygons) == len(masks):
        return [polygon for part in polygons for polygon in part]
    rles = [_drawn(mask, size) if isinstance(mask, list) else mask for mask in masks]
    return _as_text(coco_mask.merge(rles))


def _drawn(polygons: Polygons, size: tuple[Any, Any]) -> RLE:
    height, width = int(size[0]), int(size[1])
    mask = read_mask(polygons, (height, width))
    corners = [one.reshape(-1, 2) for one in mask] if isinstance(mask, list) else []
    region = region_of_polygons(corners, height, width)
    if region is None:
        return mask_in_image(np.zeros((1, 1), dtype=bool), (0, 0), size)
    return mask_in_image(region.pixels, (region.top, region.left), size)


def _as_text(rle: RLE) -> RLE:
    """Return run lengths with counts that json can hold."""
    counts = rle["counts"]
    return {"size": [int(side) for side in rle["size"]], "counts": counts.decode("ascii")}
