"""The annotations that lie below a folder, and the part of a data set that each is by its name."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from solo.config.choices import AnnotationFormat
from solo.data.formats.raw_document import CLASS_FILES
from solo.data.formats.registry import FORMATS
from solo.data.formats.yolo_files import SPLITS, YAML_SUFFIXES, read_data_yaml
from solo.errors import UserError
from solo.survey.image_folders import OF_TEXT

logger = logging.getLogger(__name__)

# What folders and files are called that hold a part of a data set.
ROLES = {
    "train": ("train", "training", "trainval"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words}
# Formats of which a folder is a data set; of the others a file is.
_OF_FOLDERS = (AnnotationFormat.LABELME, AnnotationFormat.VOC_XML, *OF_TEXT)
# Files of one kind in a folder that are looked into.
_TRIED = 20
# Files of a training: a folder with one of them is no data, but for the one that is named.
_OF_A_RUN = {"plan.yaml", "run.json", "last_checkpoint"}
# What a training writes beside the data, if its folder is theirs.
_FOLDERS_OF_A_RUN = re.compile(r"plan(-\d+)?_data|previous|inference")


class Candidate(NamedTuple):
    """Annotations in a format that is read."""

    form: AnnotationFormat
    path: Path  # of a file or a folder
    role: str  # "train", "val", "test", or "" where no name tells
    split: str = ""  # of a data.yaml

    @property
    def annotations(self) -> str:
        """As an entry of DATASETS.FILES names them."""
        return f"{self.path}:{self.split}" if self.split else str(self.path)


def role_of(path: Path) -> str:
    """Return "train", "val" or "test" if the name of a file or of its folders says so, the innermost first."""
    for part in reversed(path.parts):
        if role := next((ROLE_OF[word] for word in words_of(part) if word in ROLE_OF), ""):
            return role
    return ""


def words_of(name: str) -> list[str]:
    """Return the words of a name, without digits and what separates them."""
    return re.findall(r"[^\W\d_]+", name.lower())


def candidates_below(path: Path) -> Iterator[Candidate]:
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
        yield Candidate(AnnotationFormat(form), Path(os.path.commonpath(folders)), role)


def _is_another_task(candidate: Candidate, found: Sequence[Candidate]) -> bool:
    """Tell captions, keypoints and panoptic segments from the instances beside them, as COCO has them."""
    siblings = {
        one.path.name.startswith("instances") for one in found if one.role == candidate.role
    }
    return True in siblings and not candidate.path.name.startswith("instances")


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for where, folders, names in os.walk(root):
        is_run = not _OF_A_RUN.isdisjoint(names)
        if is_run and Path(where) != root:
            folders.clear()
            continue
        folders[:] = sorted(
            name
            for name in folders
            if not (name.startswith(".") or (is_run and _FOLDERS_OF_A_RUN.fullmatch(name)))
        )
        yield Path(where), sorted(name for name in names if not name.startswith("."))


def _of_folder(folder: Path, names: Sequence[str], root: Path) -> Iterator[Candidate]:
    """Yield what lies in a folder itself."""
    for suffixes in (YAML_SUFFIXES, (".json",), (".xml",)):
        files = [folder / name for name in names if name.lower().endswith(suffixes)]
        for file in files[:_TRIED]:
            try:
                candidates = list(_of_file(file, root))
            except UserError as error:
                # Whatever else lies below a folder need not be annotations.
                logger.info("passed over: %s", error)
                continue
            yield from candidates
            if any(one.path == folder for one in candidates):
                break  # and so are the others of this folder
    labels = [name for name in names if name.lower().endswith(".txt") and name not in CLASS_FILES]
    for form in OF_TEXT if labels else ():
        if FORMATS[form].recognises(folder):
            yield Candidate(form, folder, role_of(folder.relative_to(root)))


def _of_file(file: Path, root: Path) -> Iterator[Candidate]:
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
        yield from (Candidate(form, file, split, split) for split in kept)
    elif form in _OF_FOLDERS:
        yield Candidate(form, file.parent, role_of(relative.parent))
    else:
        yield Candidate(form, file, role_of(relative))
