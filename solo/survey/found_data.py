"""Which annotations below a folder are to train on, which to evaluate with, and where their images lie."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from solo.config.choices import AnnotationFormat
from solo.data.formats.raw_document import CLASS_FILES
from solo.data.formats.registry import FORMATS, find_format
from solo.data.formats.yolo import looks_like_yolo
from solo.data.formats.yolo_files import SPLITS, YAML_SUFFIXES, parse_path, read_data_yaml
from solo.errors import UserError
from solo.survey.image_folders import image_folder, pictures_below

# What folders and files are called that hold a part of a data set.
_ROLES = {
    "train": ("train", "training", "trainval"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words}
# Formats of which a folder is a data set; of the others a file is.
_OF_FOLDERS = (AnnotationFormat.LABELME, AnnotationFormat.YOLO, AnnotationFormat.VOC_XML)
# Files of one kind in a folder that are looked into.
_TRIED = 20
# Files of a training: a folder with one of them is no data.
_OF_A_RUN = {"plan.yaml", "run.json", "last_checkpoint"}
# Words that tell nothing of a data set.
_NO_NAMES = {"annotation", "annotations", "data", "dataset", "instances", "json", "labels"}
# Folders of annotations beside which images lie.
_INNER = ("annotations", "labels")
FLAGS = (
    "--annotations A --images D name what to train on, --val-annotations A --val-images D what to "
    "evaluate with"
)


class Source(NamedTuple):
    """Annotations, as an entry of DATASETS.FILES names them."""

    form: AnnotationFormat
    annotations: str  # a path, or "data.yaml:train"
    images: str  # the folder that holds them


@dataclass(frozen=True)
class FoundData:
    """A data set of somebody's.

    Attributes:
        name: What to call it.
        train: What to train on.
        val: What to evaluate with; None: a share of what there is to train on.
        unused: Annotations that are neither.
    """

    name: str
    train: Source
    val: Source | None
    unused: tuple[str, ...] = ()


class _Candidate(NamedTuple):
    form: AnnotationFormat
    path: Path  # of a file or a folder
    role: str  # "train", "val", "test", or "" where no name tells
    split: str = ""  # of a data.yaml

    @property
    def annotations(self) -> str:
        return f"{self.path}:{self.split}" if self.split else str(self.path)


def find_data(
    path: Path | str = "",
    *,
    annotations: Path | str = "",
    images: Path | str = "",
    val_annotations: Path | str = "",
    val_images: Path | str = "",
) -> FoundData:
    """Find what to train on and what to evaluate with.

    Names tell: those of files and folders, as `train/`, `valid/` and `instances_val2017.json`, or a
    data.yaml of YOLO's. Where nothing is to evaluate with but a `test`, that is taken.

    Args:
        path: A folder, or a file of annotations.
        annotations: What to train on, in place of what is found.
        images: Their folder; empty: it is looked for.
        val_annotations: What to evaluate with, in place of what is found.
        val_images: Their folder; empty: it is looked for.

    Raises:
        OSError: There is no such file or folder.
        UserError: Nothing, or more than one thing, may be meant; it lists them.
    """
    if val_annotations and not (path or annotations):
        raise UserError(f"There is nothing to train on: {FLAGS}.")
    root = Path(_absolute(path or annotations))
    if annotations:
        found = FoundData(_name(root), _named(annotations, images), None)
    else:
        found = _found(_without_split(root), images)
    if val_annotations:
        found = replace(found, val=_named(val_annotations, val_images))
    elif val_images and found.val:
        found = replace(found, val=found.val._replace(images=_absolute(val_images)))
    return found


def role_of(path: Path) -> str:
    """Return "train", "val" or "test" if the name of a file or of its folders says so, the innermost first."""
    for part in reversed(path.parts):
        if role := next((_ROLE_OF[word] for word in _words(part) if word in _ROLE_OF), ""):
            return role
    return ""


def _words(name: str) -> list[str]:
    """Return the words of a name, without digits and what separates them."""
    return re.findall(r"[^\W\d_]+", name.lower())


def _absolute(path: Path | str) -> str:
    """Return a path that means the same from everywhere, without `..`."""
    return os.path.abspath(os.path.expanduser(path))


def _without_split(path: Path) -> Path:
    return parse_path(path)[0] if ":" in path.name else path


def _name(path: Path) -> str:
    """Return what to call a data set: a file or folder by a name that tells more than its part in it."""
    names = [path.stem if path.is_file() else path.name, *(folder.name for folder in path.parents)]
    telling = (name for name in names if set(_words(name)) - _ROLE_OF.keys() - _NO_NAMES)
    return re.sub(r"\W+", "_", next(telling, names[0])).strip("_") or "data"


def _named(annotations: Path | str, images: Path | str) -> Source:
    """Return the source that flags name."""
    path = Path(_absolute(annotations))
    form = find_format(path).name
    if images:
        return Source(form, str(path), _absolute(images))
    candidate = _Candidate(form, *_parsed(path))
    return _source(candidate, _around(candidate.path))


def _parsed(path: Path) -> tuple[Path, str, str]:
    file, split = parse_path(path)
    return file, role_of(Path(path.name)), split


def _around(path: Path) -> Path:
    """Return the folder to look in for the images of a file."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name.lower() in _INNER else folder


def _found(path: Path, images: Path | str) -> FoundData:
    path.stat()  # a missing path is told as such
    candidates = list(_candidates(path))
    root = path if path.is_dir() else _around(path)
    if not candidates:
        raise UserError(_nothing(path))
    train, val = _chosen(path, candidates)
    sources = [
        Source(one.form, one.annotations, _absolute(images)) if images else _source(one, root)
        for one in (train, val)
        if one
    ]
    unused = [_shown(one, path) for one in candidates if one not in (train, val)]
    return FoundData(_name(path), sources[0], [*sources, None][1], tuple(unused))


def _chosen(path: Path, candidates: Sequence[_Candidate]) -> tuple[_Candidate, _Candidate | None]:
    """Return what to train on and what to evaluate with."""
    if len(candidates) == 1:
        return candidates[0], None
    by_role = {role: [one for one in candidates if one.role == role] for role in (*_ROLES, "")}
    train = by_role["train"] or by_role[""]
    val = by_role["val"] or by_role["test"]
    if len(train) != 1 or len(val) > 1:
        listed = ", ".join(_shown(one, path) for one in candidates[:8])
        more = f" and {len(candidates) - 8} more" if len(candidates) > 8 else ""
        raise UserError(
            f"{path} holds several sets of annotations, and no name tells which is meant: "
            f"{listed}{more}. {FLAGS}."
        )
    return train[0], val[0] if val else None


def _shown(candidate: _Candidate, root: Path) -> str:
    relative = os.path.relpath(candidate.annotations, root if root.is_dir() else root.parent)
    return f"{relative} ({candidate.form})"


def _nothing(path: Path) -> str:
    kinds = "COCO's json, YOLO's data.yaml or labels, LabelMe, VIA, CVAT"
    if path.is_file():
        return f"{path} holds no annotations in a format that is read: {kinds}."
    pictures = len(pictures_below(path))
    others = [name for _, _, names in os.walk(path) for name in names]
    rest = len(others) - pictures
    return (
        f"{path} holds no annotations in a format that is read ({kinds}), but {pictures} images and "
        f"{rest} other files. If they lie elsewhere, {FLAGS}."
    )


def _candidates(path: Path) -> Iterator[_Candidate]:
    """Yield the annotations of a file, or those below a folder."""
    if path.is_file():
        yield from _of_file(path, path.parent)
        return
    found = [one for folder, names in _folders(path) for one in _of_folder(folder, names, path)]
    if splits := [one for one in found if one.split]:
        # The labels that they name are no others.
        found = [one for one in found if one.form != AnnotationFormat.YOLO] + splits
    joined: dict[tuple[str, str], list[Path]] = {}
    for one in found:
        if one.form in _OF_FOLDERS and not one.split:
            joined.setdefault((one.form, one.role), []).append(one.path)
        elif not _is_another_task(one, found):
            yield one
    for (form, role), folders in joined.items():
        yield _Candidate(AnnotationFormat(form), Path(os.path.commonpath(folders)), role)


def _is_another_task(candidate: _Candidate, found: Sequence[_Candidate]) -> bool:
    """Tell captions, keypoints and panoptic segments from the instances beside them, as COCO has them."""
    siblings = {
        one.path.name.startswith("instances") for one in found if one.role == candidate.role
    }
    return True in siblings and not candidate.path.name.startswith("instances")


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for where, folders, names in os.walk(root):
        if _OF_A_RUN & set(names):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(where), sorted(name for name in names if not name.startswith("."))


def _of_folder(folder: Path, names: Sequence[str], root: Path) -> Iterator[_Candidate]:
    """Yield what lies in a folder itself."""
    for suffixes in (YAML_SUFFIXES, (".json",), (".xml",)):
        files = [folder / name for name in names if name.lower().endswith(suffixes)]
        for file in files[:_TRIED]:
            candidates = list(_of_file(file, root))
            yield from candidates
            if any(one.path == folder for one in candidates):
                break  # and so are the others of this folder
    labels = [name for name in names if name.lower().endswith(".txt") and name not in CLASS_FILES]
    if labels and looks_like_yolo(folder):
        yield _Candidate(AnnotationFormat.YOLO, folder, role_of(folder.relative_to(root)))


def _of_file(file: Path, root: Path) -> Iterator[_Candidate]:
    """Yield what a file is: itself, one of its folder, or the splits of a data.yaml."""
    form = next((form.name for form in FORMATS.values() if form.recognises(file)), None)
    if form is None:
        return
    relative = file.relative_to(root)
    if file.suffix.lower() in YAML_SUFFIXES:
        config = read_data_yaml(file)
        given = [split for split in SPLITS if config.get(split)]
        # The same images twice are no split.
        kept = [
            split
            for place, split in enumerate(given)
            if config[split] not in [config[other] for other in given[:place]]
        ]
        yield from (_Candidate(form, file, split, split) for split in kept)
    elif form in _OF_FOLDERS:
        yield _Candidate(form, file.parent, role_of(relative.parent))
    else:
        yield _Candidate(form, file, role_of(relative))


def _source(candidate: _Candidate, root: Path) -> Source:
    """Return a candidate with the folder of its images, which lie below another.

    Raises:
        UserError: None of them does.
    """
    path = Path(candidate.annotations)
    folder = image_folder(
        candidate.form, path, root, prefer=lambda at: role_of(at) == candidate.role
    )
    if folder is None:
        raise UserError(
            f"The images of {candidate.annotations} do not lie below {root}: name their folder, as in "
            f"--annotations {candidate.annotations} --images D."
        )
    return Source(candidate.form, candidate.annotations, str(folder))
