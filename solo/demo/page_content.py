"""What the page of `solo serve` shows, without the page: an image's instances, drawn and listed.

H, W: the size of the image in pixels; h, w: that of the picture on the page.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pycocotools.mask as mask_util
from PIL import Image

from solo.errors import UserError
from solo.files import write_text
from solo.images import read_picture
from solo.inference import Predictor
from solo.structures.cutouts import Cutout, get_cutouts
from solo.visualization.draw import draw_cutouts
from solo.visualization.pictures import write_picture

# In fewer pixels, and on thin stripes, a network sees nothing.
MIN_SIDE = 16
# Of a large phone camera. A mask takes a byte per pixel, and an image may have a hundred of them.
MAX_PIXELS = 50_000_000
# Longer side of the picture on the page: labels are sharp on small images, large ones quick to draw.
SHOWN_SIDES = (800, 1600)


class Found(NamedTuple):
    """The instances of one image, ready to be drawn at any threshold without the model."""

    name: str  # of the file
    picture: np.ndarray  # (h, w, 3) uint8, BGR
    cutouts: list[Cutout]  # of the instances with any pixel in (h, w)
    records: list[dict[str, Any]]  # of all objects, as of Predictor.to_dicts, in pixels of (H, W)
    seconds: float  # that the model took


class Row(NamedTuple):
    """An instance in the table."""

    name: str
    score: float
    area: int  # pixels of (H, W)


def find_instances(path: Path, predictor: Predictor) -> Found:
    """Run the model on an image file.

    Args:
        path: The file, whose name is shown.
        predictor: The model.

    Returns:
        What it found.

    Raises:
        UserError: The file is no image, or one that is too small or too large.
        RuntimeError: The model failed.
    """
    image = read_upload(path)
    start = time.perf_counter()
    try:
        instances = predictor(image, threshold=0)
        records = predictor.to_dicts(instances)
        seconds = time.perf_counter() - start
        size = shown_size(*image.shape[:2])
        picture = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        cutouts = get_cutouts(instances, size=size)
    except Exception as error:  # whatever it is, the page stays up for the next image
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(f"The model failed on {path.name}: {reason}") from error
    return Found(path.name, picture, cutouts, records, seconds)


def read_upload(path: Path) -> np.ndarray:
    """Read an image file of a size that a model can take.

    Returns:
        (H, W, 3) uint8, BGR.

    Raises:
        UserError: The file is no image, or one that is too small or too large; the message has the
            file's name without its folder.
    """
    try:
        _check_size(path)
        return read_picture(path)
    except UserError as error:
        # The folder is one of the server's own, which tells the reader nothing.
        raise UserError(str(error).replace(str(path), path.name)) from error


def _check_size(path: Path) -> None:
    """Refuse a size before the pixels are decoded: a small file may hold a billion of them."""
    try:
        with Image.open(path) as image:
            width, height = image.size
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise UserError(f"{path}: cannot be read as an image ({error}).") from error
    if min(width, height) < MIN_SIDE:
        raise UserError(f"{path}: {width} x {height} pixels; each side needs {MIN_SIDE} or more.")
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{path}: {width} x {height} pixels; the page takes up to {MAX_PIXELS // 10**6} million."
        )


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Return the (h, w) in which an image of (H, W) is shown."""
    longer = max(height, width)
    scale = float(np.clip(longer, *SHOWN_SIDES)) / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


def select(found: Found, threshold: float) -> Found:
    """Keep the instances whose score is at least a threshold."""
    shown = [record["score"] >= threshold for record in found.records]
    return found._replace(
        cutouts=[cutout for cutout in found.cutouts if shown[cutout.row]],
        records=[record for record, keep in zip(found.records, shown, strict=True) if keep],
    )


def list_instances(found: Found) -> list[Row]:
    """Return the table of the instances."""
    return [
        Row(
            record["category_name"],
            record["score"],
            _area(record),
        )
        for record in found.records
    ]


def _area(record: dict[str, Any]) -> int:
    """Return the pixels of an object, or of its box where it has no mask."""
    if "segmentation" in record:
        return int(mask_util.area(record["segmentation"]))
    _, _, width, height = record["bbox"]
    return round(width * height)


def write_found(found: Found, class_names: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """Write the picture with the instances, and the instances as a COCO-style list.

    Args:
        found: Of one image.
        class_names: Name per class.
        folder: An empty one.

    Returns:
        The picture, JPEG, and the JSON file.

    Raises:
        OSError: They cannot be written.
    """
    stem = Path(found.name).stem
    picture, records = folder / f"{stem}.jpg", folder / f"{stem}.json"
    write_picture(draw_cutouts(found.picture, found.cutouts, class_names), picture)
    entries = [{"file_name": found.name, **record} for record in found.records]
    write_text(json.dumps(entries), records)
    return picture, records
