"""A document as YOLO's folder: a text file of segments for each image, and a data.yaml."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from solo.data.document import Document
from solo.data.formats.written_coco import NO_PIXEL, drawn, relative_name
from solo.errors import UserError
from solo.structures.single_outline import single_outline

# Why an object is left out.
_CROWDS = "that are crowds, which the format does not know"


def write_yolo(
    document: Document, images: Path, folder: Path, *, link: bool = False
) -> Counter[str]:
    """Write labels/ and data.yaml under a progress bar.

    Args:
        document: What was read.
        images: The folder of its images.
        folder: Where to write to; it is there.
        link: Whether to make images/, with a link to each image.

    Returns:
        How many objects were left out, by the reason.

    Raises:
        OSError: If a file cannot be written.
        UserError: If two images would share a file of labels.
    """
    left_out: Counter[str] = Counter()
    owners: dict[Path, str] = {}
    for record in tqdm(document.records, desc="converting", unit="image", disable=None):
        name = relative_name(record, images)
        labels = (folder / "labels" / name).with_suffix(".txt")
        if owners.setdefault(labels, name) != name:
            raise UserError(
                f"{owners[labels]} and {name} would share the labels {labels.name}: rename one"
            )
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(_lines(record, left_out)))
        if link:
            _link(images / name, folder / "images" / name)
    config = {
        "path": ".",
        "train": "images",
        "val": "images",
        "names": dict(enumerate(document.class_names)),
    }
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return left_out


def _link(image: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(image.resolve())


def _lines(record: dict[str, Any], left_out: Counter[str]) -> list[str]:
    lines = []
    sides = np.array([record["width"], record["height"]], dtype=np.float64)
    for item in record.get("annotations", ()):
        if item.get("iscrowd"):
            left_out[_CROWDS] += 1
        elif (numbers := _numbers(item, record, sides)) is None:
            left_out[NO_PIXEL] += 1
        else:
            shares = " ".join(f"{number:.7g}" for number in (numbers / sides).ravel())
            lines.append(f"{item['category_id']} {shares}\n")
    return lines


def _numbers(item: dict[str, Any], record: dict[str, Any], sides: np.ndarray) -> np.ndarray | None:
    """Return the corners of an object, or the centre and the sides of its box, (n, 2) in pixels."""
    mask = item.get("segmentation")
    if mask is None:
        if not item.get("bbox"):
            return None
        corner, size = np.array(item["bbox"], dtype=np.float64).reshape(2, 2)
        return np.stack([corner + size / 2, size])
    region = drawn(item, record)
    if region is None:
        return None
    corners = mask[0].reshape(-1, 2) if isinstance(mask, list) and len(mask) == 1 else None
    # Other tools refuse corners outside the image.
    if corners is not None and ((corners >= 0) & (corners <= sides)).all():
        return corners
    return single_outline(region)
