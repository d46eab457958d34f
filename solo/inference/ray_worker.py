"""What one of several processes does: it builds the model once, and finds the instances of parts of the images."""

import contextlib
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
    "mistake": pyarrow.string(),
}
# How often a part is begun: one image may be the death of each worker. Files of a letter for each time count.
_TRIES = 4
_MARKS = ".part-*.tries"


class Job(NamedTuple):
    """What a worker has to know."""

    open_model: Callable[..., Predictor]
    output: str  # absolute
    folder: str  # that paths are relative to
    threads: int
    threshold: float | None
    imports: Sequence[str]


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
        self._description = {
            "model": predictor.origin[0] if predictor.origin else "",
            "threshold": self._least,
            "class_names": list(predictor.class_names),
            "category_ids": list(predictor.category_ids),
        }
        for part in parts_of(Path(job.output))[:1]:
            if description_of(part) != self._description:
                raise UserError(
                    f"{job.output} holds results of another model, or of another threshold, than "
                    f"{self._description['model']} from {self._least:g} on: name another folder."
                )
        return predictor

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """Do parts, a row each, and report."""
        reports = [self._do(paths) for paths in batch["paths"].to_pylist()]
        return pyarrow.Table.from_pylist(reports, schema=pyarrow.schema(_REPORT.items()))

    def _do(self, paths: list[str]) -> dict[str, Any]:
        if self._mistake:
            return {"mistake": self._mistake}
        file = Path(self._job.output, name_of_part(paths))
        tries = file.with_name(f".{file.stem}.tries")
        try:
            if _add_one(tries) > _TRIES:
                tries.unlink(missing_ok=True)
                return {"images": 0, "objects": 0, "problems": []}
            found = [self._find(path) for path in paths]
            write_part(found, file, self._description)
            tries.unlink(missing_ok=True)
        except OSError as error:
            tries.unlink(missing_ok=True)
            return {"mistake": str(error)}
        return {
            "images": len(found),
            "objects": sum(len(each.records) for each in found),
            "problems": [each.error for each in found if each.error],
        }

    def _find(self, path: str) -> FoundIn:
        try:
            found = self._predictor(path, threshold=self._least)
            return FoundIn(path, found.image_size, self._predictor.to_dicts(found))
        except Exception as error:  # whatever it is, the other images are not to suffer
            reason = str(error) if is_mistake(error) else f"{type(error).__name__}: {error}"
            return FoundIn(path, error=reason if path in reason else f"{path}: {reason}")


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
