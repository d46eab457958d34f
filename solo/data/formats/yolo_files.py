"""The files of a data set of YOLO's: its data.yaml, and which labels belong to which image."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from solo.data.formats.file_heads import files_below, image_suffixes
from solo.data.formats.raw_document import CLASS_FILES, read_class_names, reading
from solo.errors import UserError

YAML_SUFFIXES = (".yaml", ".yml")
SPLITS = ("train", "val", "test")
# A data.yaml holds no more bytes than this.
_MOST_BYTES = 1 << 24


class Pair(NamedTuple):
    """An image, and the file of its labels, which is missing if it has no objects."""

    image: Path
    labels: Path


class YoloFiles(NamedTuple):
    """What belongs to a data set.

    Attributes:
        names: The classes by their numbers.
        pairs: One for each image.
        label_folders: In which labels were looked for.
    """

    names: dict[int, str]
    pairs: list[Pair]
    label_folders: list[Path]

    @property
    def strangers(self) -> list[Path]:
        """The labels that no image has."""
        known = {pair.labels for pair in self.pairs}
        return [
            file
            for folder in self.label_folders
            for file in files_below(folder, ".txt")
            if file not in known and file.name not in CLASS_FILES
        ]


def parse_path(path: Path) -> tuple[Path, str]:
    """Return a data.yaml and its split, "" if none is named; or else the path."""
    file, _, split = str(path).rpartition(":")
    if file.lower().endswith(YAML_SUFFIXES):
        return Path(file), split
    inside = path / "data.yaml"
    return (inside if inside.is_file() else path), ""


def find_files(path: Path, images: Path) -> YoloFiles:
    """Return the files of a split, or of two folders; see :func:`solo.data.formats.yolo.read_yolo`."""
    file, split = parse_path(path)
    if file.suffix.lower() in YAML_SUFFIXES:
        config = read_data_yaml(file)
        return YoloFiles(_names(file, config), *_split_pairs(file, config, split))
    if not path.is_dir():
        raise UserError(
            f"{path} is neither a data.yaml, as in data.yaml:train, nor a folder of labels"
        )
    if not (found := _images_below(images)):
        raise UserError(f"{images} holds no images")
    pairs = [Pair(image, (path / image.relative_to(images)).with_suffix(".txt")) for image in found]
    return YoloFiles(_names_beside(path, images), pairs, [path])


def read_data_yaml(file: Path) -> dict[str, Any]:
    """Read a data.yaml.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is none.
    """
    if file.stat().st_size > _MOST_BYTES:
        raise UserError(f"{file} is too large for a data.yaml")
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is no yaml: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise UserError(f"{file} is no data.yaml: it has no names, train and val")
    return config


def label_file(image: Path) -> Path:
    """Return where the labels of an image are: the last folder "images" of its path becomes "labels"."""
    parts = list(image.parts)
    folders = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _names(file: Path, config: dict[str, Any]) -> dict[int, str]:
    """Return the classes by their numbers."""
    names = config.get("names")
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
    for folder in (labels.parent, labels.parent.parent):
        if (file := folder / "data.yaml").is_file():
            return _names(file, read_data_yaml(file))
    names = read_class_names(labels, labels.parent, labels.parent.parent, images)
    if not names:
        raise UserError(
            f"{labels} has labels, but no classes: write their names, one a line, into "
            f"{labels / CLASS_FILES[0]}"
        )
    return dict(enumerate(names))


def _split_pairs(file: Path, config: dict[str, Any], split: str) -> tuple[list[Pair], list[Path]]:
    given = [name for name in SPLITS if config.get(name)]
    if not split and given and all(config[name] == config[given[0]] for name in given):
        split = given[0]
    entries = config.get(split)
    if not split or not entries:
        example = f"{file}:{given[0] if given else 'train'}"
        raise UserError(
            f"{file} has the splits {', '.join(given) or 'train, val and test not'}"
            f"{f', not {split}' if split else ''}: name one, as in {example}"
        )
    pairs: list[Pair] = []
    folders: list[Path] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        source = _locate(file, config, str(entry))
        if source.is_dir():
            pairs += [Pair(image, label_file(image)) for image in _images_below(source)]
            folders.append(label_file(source / "_").parent)
        else:
            pairs += [Pair(image, label_file(image)) for image in _listed(source)]
    if not pairs:
        raise UserError(f"{file}: there are no images in its {split}, {entries!r:.200}")
    return pairs, folders


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
    return list(files_below(folder, tuple(image_suffixes())))


def _listed(source: Path) -> list[Path]:
    """Return the images that a text file lists, relative to its folder."""
    with reading(str(source)):
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    return [
        Path(os.path.normpath(source.parent / line.strip().replace("\\", "/")))
        for line in lines
        if line.strip()
    ]
