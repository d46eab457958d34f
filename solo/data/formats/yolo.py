"""YOLO's text files of segments or boxes: one for each image, a line for each object.

A line is the number of a class and corners x1 y1 x2 y2 ..., or a box cx cy w h, as shares of the image's
sides. Holes and parts are in the one polygon, joined by lines there and back, so that filling it
gives the object.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from solo.data.document import Raw
from solo.data.formats.file_heads import Size, first_files, first_line, known_size
from solo.data.formats.instance_map import read_all
from solo.data.formats.raw_document import CLASS_FILES, reading
from solo.data.formats.yolo_files import (
    SPLITS,
    YAML_SUFFIXES,
    Pair,
    YoloFiles,
    find_files,
    parse_path,
    read_data_yaml,
)
from solo.errors import UserError

logger = logging.getLogger(__name__)

# Files of labels that are looked into to tell the format: those of images without objects are empty.
_TRIED = 50


def looks_like_yolo(path: Path) -> bool:
    """Return whether a path is a data.yaml, with or without `:split`, or a folder of labels."""
    file, _ = parse_path(path)
    if file.suffix.lower() in YAML_SUFFIXES:
        try:
            config = read_data_yaml(file)
        except (OSError, UserError):
            return False
        return "names" in config and any(split in config for split in SPLITS)
    files = [file for file in first_files(path, ".txt", _TRIED) if file.name not in CLASS_FILES]
    lines = [line for file in files if (line := first_line(file))]
    return bool(files) and all(_is_numbers(line) for line in lines)


def read_yolo(path: Path, images: Path) -> Raw:
    """Read a split of a data.yaml, or a folder of labels.

    Args:
        path: ``data.yaml:train``, or the folder of a data.yaml; without a split if there is one
            only. Or the folder of the labels, with the classes in a classes.txt or labels.txt in it,
            or in these or a data.yaml beside it.
        images: A folder that holds all images of the split; or that of the images with these labels.

    Returns:
        The document; ids of categories are the numbers of the classes, from 0.

    Raises:
        OSError: If a file cannot be read.
        UserError: If a file is not as it should be; names it, and the line.
    """
    files = find_files(path, images)
    _warn(path, files)
    document: Raw = {
        "images": [],
        "annotations": [],
        "categories": [
            {"id": number, "name": name} for number, name in sorted(files.names.items())
        ],
    }
    contents = read_all(_read_pair, files.pairs, path.name)
    for pair, (size, lines) in zip(files.pairs, contents, strict=True):
        _add(document, pair, _relative(pair.image, images), size, lines)
    return document


def _warn(path: Path, files: YoloFiles) -> None:
    """Tell of labels without an image, and of images without labels.

    Raises:
        UserError: If there are both, and no image has labels.
    """
    strangers = files.strangers
    missing = "" if any(pair.labels.is_file() for pair in files.pairs) else files.pairs[0].labels
    if strangers and missing:
        raise UserError(
            f"{path}: no image has labels, and {strangers[0]} has no image: {files.pairs[0].image} "
            f"would have {missing}"
        )
    if strangers:
        logger.warning(
            "%s: %d files of labels have no image, as %s", path, len(strangers), strangers[0]
        )
    if missing:
        logger.warning("%s: no image has labels; there is no %s", path, missing)


def _read_pair(pair: Pair) -> tuple[Size, list[str]]:
    """Return width and height of an image, and the lines of its labels."""
    lines: list[str] = []
    if pair.labels.is_file():
        with reading(str(pair.labels)):
            lines = pair.labels.read_text(encoding="utf-8-sig").splitlines()
    return known_size(pair.image), lines


def _relative(image: Path, images: Path) -> str:
    relative = os.path.relpath(image, images)
    if relative.startswith(".."):
        raise UserError(f"{image} does not lie in {images}: give a folder that holds all images")
    return Path(relative).as_posix()


def _add(
    document: Raw,
    pair: Pair,
    name: str,
    size: Size,
    lines: Sequence[str],
) -> None:
    width, height = size
    image = {"id": name, "file_name": name}
    if width is None or height is None:  # shares of sides that are not known are nowhere
        document["images"].append(image)
        return
    document["images"].append({**image, "height": height, "width": width})
    where = f"{pair.labels.parent.name}/{pair.labels.name}"
    for number, line in enumerate(lines, 1):
        if line.strip():
            with reading(f"{pair.labels}, line {number}"):
                category, mask = _parse(line, width, height)
            ids = {"id": f"{where}:{number}", "image_id": name, "category_id": category}
            document["annotations"].append({**ids, **mask})


def _parse(line: str, width: int, height: int) -> tuple[int, dict[str, Any]]:
    """Return the class of a line, and its polygon or its box in pixels."""
    first, *texts = line.split()
    category = float(first)  # some tools write whole columns as floating point
    if not category.is_integer():
        raise ValueError(f"the class is {first}")
    numbers = [float(text) * (height if place % 2 else width) for place, text in enumerate(texts)]
    if len(numbers) != 4:
        return int(category), {"segmentation": [numbers]}
    x, y, w, h = numbers
    return int(category), {"bbox": [x - w / 2, y - h / 2, w, h]}


def _is_numbers(line: str) -> bool:
    numbers = line.split()
    try:
        return len([float(number) for number in numbers]) >= 5
    except ValueError:
        return False
