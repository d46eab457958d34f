"""What one of several processes does: it builds the model once, and finds the instances of parts of the images."""

import contextlib
import errno
import inspect
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pyarrow
import torch

from solo.errors import UserError, is_mistake
from solo.images import UnreadableImageError
from solo.inference.parquet_files import (
    FoundIn,
    description_of,
    name_of_part,
    parts_of,
    write_part,
)
from solo.inference.predictor import Predictor
from solo.user_modules import import_modules

# What a worker says of a part.
_REPORT = {
    "images": pyarrow.int64(),
    "objects": pyarrow.int64(),
    "problems": pyarrow.list_(pyarrow.string()),
    "faults": pyarrow.list_(pyarrow.string()),
    "mistake": pyarrow.string(),
}
# How often a part is begun: one image may be the death of each worker. Files of a letter for each time count.
_TRIES = 4
_MARKS = ".part-*.tries"
# What is wrong with a path, and not with the machine, a disk or a network.
_OF_PATHS = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EINVAL),
}


class Job(NamedTuple):
    """What a worker has to know."""

    open_model: Callable[..., Predictor]
    output: str  # absolute
    folder: str  # that paths are relative to
    threads: int
    threshold: float | None
    imports: Sequence[str]
    identity: str = ""


class PartWorker:
    """The model of one process, which does one part after the other.

    What goes wrong is reported, not raised: of what is raised Ray makes a worker that died, and begins anew.
    """

    def __init__(self, job: Job) -> None:
        """Build the model."""
        self._job = job
        self._mistake = ""
        try:
            self._predictor = self._open()
        except Exception as error:  # others are the program's, and come with their place
            self._mistake = str(error) if is_mistake(error) else traceback.format_exc()

    def _open(self) -> Predictor:
        job = self._job
        with contextlib.suppress(
            OSError
        ):  # a machine without that folder has paths that are absolute
            os.chdir(job.folder)
        torch.set_num_threads(job.threads)
        cv2.setNumThreads(job.threads)
        import_modules(job.imports)
        predictor = _opened(job.open_model, job.threads)
        self._least = predictor.threshold if job.threshold is None else job.threshold
        name = predictor.origin[0] if predictor.origin else ""
        self._description = {
            "model": name,
            "identity": job.identity,
            "threshold": self._least,
            "own_threshold": predictor.threshold,
            "class_names": list(predictor.class_names),
            "category_ids": list(predictor.category_ids),
        }
        for part in parts_of(Path(job.output))[:1]:
            told = description_of(part)
            if job.identity:  # which does not hang on the name of a file
                told["model"] = name
            if told != self._description:
                raise other_model(job.output, name, self._least)
        return predictor

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Do parts, a row each, and report."""
        reports = [self._do(paths) for paths in batch["paths"].to_pylist()]
        return pyarrow.Table.from_pylist(reports, schema=pyarrow.schema(_REPORT.items()))

    def _do(self, paths: list[str]) -> dict[str, Any]:
        if self._mistake:
            return {"mistake": self._mistake}
        folder = self._job.folder
        file = Path(self._job.output, name_of_part(paths, folder))
        found: list[FoundIn] = []
        faults: list[str] = []
        tries = file.with_name(f".{file.stem}.tries")
        try:
            if _add_one(tries) > _TRIES:
                tries.unlink(missing_ok=True)
                return {"images": 0, "objects": 0, "problems": [], "faults": []}
            for path in paths:
                try:
                    found.append(self._find(path))
                except Exception as error:  # the other images are not to suffer
                    faults.append(_in_words(path, error))
            if found:
                write_part(found, file, self._description, folder)
            tries.unlink(missing_ok=True)
        except OSError as error:
            tries.unlink(missing_ok=True)
            return {"mistake": str(error)}
        return {
            "images": len(found),
            "objects": sum(len(each.records) for each in found),
            "problems": [each.error for each in found if each.error],
            "faults": faults,
        }

    def _find(self, path: str) -> FoundIn:
        """Return what is in an image, or why it cannot be read; all else is raised: it may go well another time."""
        try:
            found = self._predictor(path, threshold=self._least)
        except UserError as error:
            if not _is_of_image(error):
                raise
            return FoundIn(path, error=_in_words(path, error))
        return FoundIn(path, found.image_size, self._predictor.to_dicts(found))


def other_model(folder: str, name: str, threshold: float) -> UserError:
    """Return what is told where a folder holds other results."""
    return UserError(
        f"{folder} holds results of another model, or of another threshold, than "
        f"{name} from {threshold:g} on: name another folder."
    )


def _is_of_image(error: UserError) -> bool:
    """Return whether an image is to blame, and not memory, a disk, or what computes."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.errno is None or cause.errno in _OF_PATHS  # Pillow's own have no number
    if isinstance(cause, MemoryError):
        return False
    return isinstance(error, UnreadableImageError) or not isinstance(cause, RuntimeError)


def _in_words(path: str, error: Exception) -> str:
    reason = str(error) if is_mistake(error) else f"{type(error).__name__}: {error}"
    return reason if path in reason else f"{path}: {reason}"


def forget_tries(folder: Path) -> None:
    """Have all parts begin with the first try."""
    for file in folder.glob(_MARKS):
        file.unlink(missing_ok=True)


def _add_one(file: Path) -> int:
    """Count in a file, which outlives this process."""
    with file.open("ab") as marks:
        marks.write(b".")
        return marks.tell()


def _opened(open_model: Callable[..., Predictor], threads: int) -> Predictor:
    """Build a predictor; what has threads of its own, as onnxruntime, asks how many."""
    asks = "threads" in inspect.signature(open_model).parameters
    return open_model(threads=threads) if asks else open_model()
