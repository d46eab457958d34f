"""YOLO's text files of segments or boxes: one for each image, a line for each object.

A line is the number of a class and corners x1 y1 x2 y2 ..., or a box cx cy w h, as shares of the image's
sides. Holes and parts are in the one polygon, joined by lines there and back, so that filling it
gives the object.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from solo.data.formats.file_heads import files_below, first_files, image_suffixes, known_size
from solo.data.formats.instance_map import read_all
from solo.data.formats.raw_document import CLASS_FILES, Document, read_class_names, reading
from solo.errors import UserError

logger = logging.getLogger(__name__)

_YAML = (".yaml", ".yml")
_SPLITS = ("train", "val", "test")
# A data.yaml holds no more bytes than this.
_MOST_BYTES = 1 << 24
# Files of labels that are looked into to tell the format: those of images without objects are empty.
_TRIED = 50


class _Pair(NamedTuple):
    """An image, and the file of its labels, which is missing if it has no objects."""

    image: Path
    labels: Path


class _Found(NamedTuple):
    """Pairs, and the folders in which labels were looked for."""

    pairs: list[_Pair]
    label_folders: list[Path]


def looks_like_yolo(path: Path) -> bool:
    """Return whether a path is a data.yaml, with or without `:split`, or a folder of labels."""
    file, _ = _parse_path(path)
    if file.suffix.lower() in _YAML:
        try:
            config = _read_yaml(file)
        except (OSError, UserError):
            return False
        return "names" in config and any(split in config for split in _SPLITS)
    files = [file for file in first_files(path, ".txt", _TRIED) if file.name not in CLASS_FILES]
    lines = [line for file in files if (line := _first_line(file))]
    return bool(files) and all(_is_numbers(line) for line in lines)


def read_yolo(path: Path, images: Path) -> Document:
    """Read a split of a data.yaml, or a folder of labels.

    Args:
        path: ``data.yaml:train``; without a split if there is one only; or the folder of the labels,
            with the classes in a data.yaml, classes.txt or labels.txt in it or beside it.
        images: A folder that holds all images of the split; or that of the images with these labels.

    Returns:
        The document; ids of categories are the numbers of the classes, from 0.

    Raises:
        OSError: If a file cannot be read.
        UserError: If a file is not as it should be; names it, and the line.
    """
    file, split = _parse_path(path)
    if file.suffix.lower() in _YAML:
        config = _read_yaml(file)
        names, found = _names(file, config), _split_pairs(file, config, split)
    elif file.is_dir():
        names, found = _names_beside(file, images), _folder_pairs(images, file)
    else:
        raise UserError(
            f"{path} is neither a data.yaml, as in data.yaml:train, nor a folder of labels"
        )
    _warn(path, found)
    document: Document = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in sorted(names.items())],
    }
    contents = read_all(_read_pair, found.pairs, str(path))
    for pair, (size, lines) in zip(found.pairs, contents, strict=True):
        _add(document, pair, _relative(pair.image, images), size, lines)
    return document


def label_file(image: Path) -> Path:
    """Return where the labels of an image are: the last folder "images" of its path becomes "labels"."""
    parts = list(image.parts)
    folders = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _parse_path(path: Path) -> tuple[Path, str]:
    """Return a data.yaml and its split, or else the path."""
    file, _, split = str(path).rpartition(":")
    return (Path(file), split) if file.lower().endswith(_YAML) else (path, "")


def _read_yaml(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _MOST_BYTES:
        raise UserError(f"{file} is too large for a data.yaml")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is no yaml: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{file} is no data.yaml: it has no names, train and val")
    return config


def _names(file: Path, config: dict[str, Any]) -> dict[int, str]:
    """Return the classes by their numbers."""
    names = config.get("names")
    if names is None and isinstance(config.get("nc"), int):
        return {number: str(number) for number in range(config["nc"])}
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise UserError(f"{file} has no names: list the classes, as in names: [cat, dog]")
    for name in names.values():
        if not isinstance(name, str | int | float) or isinstance(name, bool):
            raise UserError(f"{file} has the class {name!r:.40}: put the name into quotes")
    with reading(f"{file}, names"):
        numbers = {int(number): str(name) for number, name in names.items()}
    if config.get("nc", len(numbers)) != len(numbers):
        raise UserError(f"{file} has {len(numbers)} names, but nc is {config['nc']}: correct one")
    return numbers


def _names_beside(labels: Path, images: Path) -> dict[int, str]:
    for folder in (labels, labels.parent, labels.parent.parent):
        if (file := folder / "data.yaml").is_file():
            return _names(file, _read_yaml(file))
    names = read_class_names(labels, labels.parent, labels.parent.parent, images)
    if not names:
        raise UserError(
            f"{labels} has labels, but no classes: write their names, one a line, into "
            f"{labels / CLASS_FILES[0]}"
        )
    return dict(enumerate(names))


def _split_pairs(file: Path, config: dict[str, Any], split: str) -> _Found:
    given = [name for name in _SPLITS if config.get(name)]
    split = split or (given[0] if len(given) == 1 else "")
    entries = config.get(split)
    if not split or not entries:
        example = f"{file}:{given[0] if given else 'train'}"
        raise UserError(
            f"{file} has the splits {', '.join(given) or 'train, val and test not'}"
            f"{f', not {split}' if split else ''}: name one, as in {example}"
        )
    pairs: list[_Pair] = []
    folders: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        source = _locate(file, config, str(entry))
        if source.is_dir():
            pairs += [_Pair(image, label_file(image)) for image in _images_below(source)]
            folders.append(label_file(source / "_").parent)
        else:
            pairs += [_Pair(image, label_file(image)) for image in _listed(source)]
    if not pairs:
        raise UserError(f"{file}: there are no images in its {split}, {entries!r:.200}")
    return _Found(pairs, folders)


def _locate(file: Path, config: dict[str, Any], entry: str) -> Path:
    """Return the folder or list that an entry of a split names, relative to `path` of the file."""
    folder = file.absolute().parent
    root = Path(str(config.get("path") or "."))
    # Some tools write ../train/images for a folder beside the file.
    entries = (entry, entry.removeprefix("../")) if entry.startswith("../") else (entry,)
    tried = [base / name for base in (folder / root, root.absolute(), folder) for name in entries]
    for path in tried:
        if path.exists():
            return Path(os.path.normpath(path))
    raise UserError(f"{file} names {entry!r}, but there is no {tried[0]}: correct its path")


def _images_below(folder: Path) -> list[Path]:
    suffixes = tuple(image_suffixes())
    return [path for path in files_below(folder, suffixes)]


def _listed(source: Path) -> list[Path]:
    """Return the images that a text file lists, relative to its folder."""
    with reading(str(source)):
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    return [
        Path(os.path.normpath(source.parent / line.strip().replace("\\", "/")))
        for line in lines
        if line.strip()
    ]


def _folder_pairs(images: Path, labels: Path) -> _Found:
    found = _images_below(images)
    if not found:
        raise UserError(f"{images} holds no images")
    pairs = [
        _Pair(image, (labels / image.relative_to(images)).with_suffix(".txt")) for image in found
    ]
    return _Found(pairs, [labels])


def _warn(path: Path, found: _Found) -> None:
    """Tell of labels without an image, and of images none of which has labels."""
    labels = {pair.labels for pair in found.pairs}
    strangers = [
        file
        for folder in found.label_folders
        for file in files_below(folder, ".txt")
        if file not in labels and file.name not in CLASS_FILES
    ]
    if strangers:
        logger.warning(
            "%s: %d files of labels have no image, as %s", path, len(strangers), strangers[0]
        )
    if not any(file.is_file() for file in labels):
        logger.warning("%s: no image has labels; there is no %s", path, found.pairs[0].labels)


def _read_pair(pair: _Pair) -> tuple[tuple[int, int] | tuple[None, None], list[str]]:
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
    document: Document,
    pair: _Pair,
    name: str,
    size: tuple[int, int] | tuple[None, None],
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


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            return opened.readline(1 << 16).strip()
    except (OSError, ValueError):
        return "?"


def _is_numbers(line: str) -> bool:
    numbers = line.split()
    try:
        return len([float(number) for number in numbers]) >= 5
    except ValueError:
        return False
