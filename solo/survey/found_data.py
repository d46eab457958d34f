"""Which annotations below a folder are to train on, which to evaluate with, and where their images lie."""

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from solo.config.choices import AnnotationFormat
from solo.data.formats.registry import find_format
from solo.data.formats.yolo_files import parse_path
from solo.errors import UserError
from solo.survey.annotation_files import (
    ROLE_OF,
    ROLES,
    Candidate,
    candidates_below,
    role_of,
    words_of,
)
from solo.survey.image_folders import image_folder, pictures_below

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


def find_data(
    path: Path | str = "",
    *,
    annotations: Path | str = "",
    images: Path | str = "",
    val_annotations: Path | str = "",
    val_images: Path | str = "",
    advice: str = FLAGS,
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
        advice: What to do where it is not clear what is meant: which flags say it.

    Raises:
        OSError: There is no such file or folder.
        UserError: Nothing, or more than one thing, may be meant; it lists them.
    """
    if val_annotations and not (path or annotations):
        raise UserError(f"There is nothing to train on: {FLAGS}.")
    root = Path(_absolute(path or annotations))
    _check_there(_without_split(root))
    if annotations:
        found = FoundData(data_name(path, annotations), _named(annotations, images), None)
    else:
        found = _found(_without_split(root), images, advice)
    if val_annotations:
        found = replace(found, val=_named(val_annotations, val_images))
    elif val_images and found.val:
        found = replace(found, val=found.val._replace(images=_absolute(val_images)))
    return found


def _check_there(path: Path) -> None:
    if path.exists():
        return
    there = [other.name for other in path.parent.glob("*")]
    close = difflib.get_close_matches(path.name, there, n=1)
    meant = f"; did you mean {path.parent / close[0]}?" if close else "."
    raise FileNotFoundError(f"{path}: there is no such file or folder{meant}")


def data_name(path: Path | str = "", annotations: Path | str = "") -> str:
    """Return what :func:`find_data` calls a data set; it need not be there any more."""
    return _name(_without_split(Path(_absolute(path or annotations))))


def _absolute(path: Path | str) -> str:
    """Return a path that means the same from everywhere, without `..`."""
    return os.path.abspath(os.path.expanduser(path))


def _without_split(path: Path) -> Path:
    return parse_path(path)[0] if ":" in path.name else path


def _name(path: Path) -> str:
    """Return what to call a data set: a file or folder by a name that tells more than its part in it."""
    names = [path.stem if path.is_file() else path.name, *(folder.name for folder in path.parents)]
    telling = (name for name in names if set(words_of(name)) - ROLE_OF.keys() - _NO_NAMES)
    return re.sub(r"\W+", "_", next(telling, names[0])).strip("_") or "data"


def _named(annotations: Path | str, images: Path | str) -> Source:
    """Return the source that flags name."""
    path = Path(_absolute(annotations))
    form = find_format(path).name
    if images:
        return Source(form, str(path), _absolute(images))
    candidate = Candidate(form, *_parsed(path))
    return _source(candidate, _around(candidate.path))


def _parsed(path: Path) -> tuple[Path, str, str]:
    file, split = parse_path(path)
    return file, role_of(Path(path.name)), split


def _around(path: Path) -> Path:
    """Return the folder to look in for the images of a file."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name.lower() in _INNER else folder


def _found(path: Path, images: Path | str, advice: str) -> FoundData:
    path.stat()  # a missing path is told as such
    candidates = list(candidates_below(path))
    root = path if path.is_dir() else _around(path)
    if not candidates:
        raise UserError(_nothing(path, advice))
    train, val = _chosen(path, candidates, advice)
    sources = [
        Source(one.form, one.annotations, _absolute(images)) if images else _source(one, root)
        for one in (train, val)
        if one
    ]
    unused = [_shown(one, path) for one in candidates if one not in (train, val)]
    return FoundData(_name(path), sources[0], [*sources, None][1], tuple(unused))


def _chosen(
    path: Path, candidates: Sequence[Candidate], advice: str
) -> tuple[Candidate, Candidate | None]:
    """Return what to train on and what to evaluate with."""
    if len(candidates) == 1:
        return candidates[0], None
    by_role = {role: [one for one in candidates if one.role == role] for role in (*ROLES, "")}
    train = by_role["train"] or by_role[""]
    val = by_role["val"] or by_role["test"]
    if len(train) != 1 or len(val) > 1:
        listed = ", ".join(_shown(one, path) for one in candidates[:8])
        more = f" and {len(candidates) - 8} more" if len(candidates) > 8 else ""
        raise UserError(
            f"{path} holds several sets of annotations, and no name tells which is meant: "
            f"{listed}{more}. {advice}."
        )
    return train[0], val[0] if val else None


def _shown(candidate: Candidate, root: Path) -> str:
    relative = os.path.relpath(candidate.annotations, root if root.is_dir() else root.parent)
    return f"{relative} ({candidate.form})"


def _nothing(path: Path, advice: str) -> str:
    kinds = "COCO's json, YOLO's data.yaml or labels, LabelMe, VIA, CVAT"
    if path.is_file():
        return f"{path} holds no annotations in a format that is read: {kinds}."
    pictures = len(pictures_below(path))
    others = [name for _, _, names in os.walk(path) for name in names]
    rest = len(others) - pictures
    return (
        f"{path} holds no annotations in a format that is read ({kinds}), but {pictures} images and "
        f"{rest} other files. If they lie elsewhere, {advice}."
    )


def _source(candidate: Candidate, root: Path) -> Source:
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
