"""Find the instances of very many images by workers of Ray, on one machine or on a cluster.

    from functools import partial
    from solo.inference import Predictor
    from solo.inference.ray import predict_files, write_coco_json

    predict_files(["photos/"], "found", partial(Predictor.from_run, "output/cats"), workers=8)
    write_coco_json("found", "found.json")

Images are dealt out in parts. A worker, which builds the model once, finds what is in those of a part one by
one, and writes a Parquet file of it, whole or not at all (`solo.inference.parquet_files`). So what is found
depends neither on who does what nor on when; a part whose worker dies is begun anew, and another call does
what is missing.
"""

import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from solo.errors import MissingPackageError, UserError
from solo.files import check_folder
from solo.inference.parquet_files import (
    TABLE_SUFFIXES,
    absolute,
    description_of,
    done_in,
    parts_of,
    paths_of_table,
    write_coco_json,
)
from solo.inference.predictor import Predictor
from solo.inference.ray_cluster import cluster
from solo.inference.ray_worker import Job, PartWorker, forget_tries, other_model
from solo.input_files import describe_left_out, find_inputs, user_path

try:
    import pyarrow
    import ray
    from ray.data import ActorPoolStrategy
    from ray.exceptions import RayError
except ImportError as error:
    raise MissingPackageError(
        'Several workers need Ray Data: run `pip install "ray[data]"`.', name=error.name
    ) from error

logger = logging.getLogger(__name__)

__all__ = ["Outcome", "predict_files", "write_coco_json"]

# Parts that may be given up, and workers in a row that may die before they begin, until all is given up.
_MOST_LOST = 10
# Parts that a worker gets at least, so that none is idle for long at the end.
_PARTS_EACH = 4


class Outcome(NamedTuple):
    """What became of a call."""

    num_images: int  # that were asked for
    num_before: int  # of these, whose results were there already
    num_lost: (
        int  # of these, whose workers died again and again, or had a fault: they are still to do
    )
    num_objects: int  # that were found now
    problems: list[str]  # of inputs that are none, and of images that were not read now, in words
    faults: Sequence[str] = ()  # of the machine or the program, with images that are still to do
    num_unread_before: int = 0  # of those whose results were there: that could not be read
    paths: Sequence[str] = ()  # the images, in the order of the inputs


class _Share(NamedTuple):
    """What one of so many workers has of a cluster."""

    workers: int
    cpus: int
    gpus: float

    @property
    def threads(self) -> int:
        """Of a worker."""
        return torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else self.cpus


def predict_files(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    open_model: Callable[..., Predictor],
    *,
    workers: int | None = None,
    gpus: bool = True,
    threshold: float | None = None,
    images_per_file: int = 100,
    imports: Sequence[str] = (),
    identity: str = "",
) -> Outcome:
    """Find the instances of images, and write them to a folder of Parquet files; resume what was begun.

    Images in the folder, also those that could not be read, are not done again. Where Ray runs, in this process or
    at RAY_ADDRESS, its cluster is used, whose machines have to see the same files; else it is started here, and ended.

    Args:
        inputs: Images, folders (without those in them), patterns such as "photos/**/*.jpg", and tables with a
            column `path`, .parquet or .csv.
        output: The folder.
        open_model: What builds the predictor in each worker, such as partial(Predictor.from_run, "output/cats").
            If it takes `threads`, it is told those of the worker.
        workers: None: one for each GPU, or core. Threads of each: its share of the cores, or OMP_NUM_THREADS.
        gpus: Whether workers share the GPUs, where there are any.
        threshold: Score from which on instances are written. None: the predictor's own.
        images_per_file: At most: this much is done again after a worker died.
        imports: Modules of yours that register parts of the model.
        identity: What no other model has, of `model_identity`. Empty: names of files and classes tell them apart.

    Raises:
        OSError: Nothing can be written to the folder, or workers die without end.
        UserError: The model cannot be built, a part cannot be written, or the folder holds results of another
            model, or damaged ones; or a table has no paths, or there is less than one worker or image a file.
    """
    if (workers is not None and workers < 1) or images_per_file < 1:
        raise UserError("Give 1 worker at least, and 1 image a file.")
    folder = Path(output).absolute()
    paths, problems = _find_paths(inputs, folder)
    _check(folder, identity, threshold)
    todo, outcome = _look(folder, paths, problems)
    if not todo:
        return outcome
    forget_tries(folder)
    with cluster(workers):
        share = _share(ray.cluster_resources(), workers, gpus)
        places = str(folder), os.getcwd()
        job = Job(open_model, *places, share.threads, threshold, tuple(imports), identity)
        return _run(job, share, _deal(todo, share.workers, images_per_file), outcome)


def _check(folder: Path, identity: str, threshold: float | None) -> None:
    """Refuse a folder of another model's results, also where no worker is needed; workers compare more."""
    check_folder(folder)
    for part in parts_of(folder)[:1]:
        described = description_of(part)
        least = described.get("own_threshold", 0) if threshold is None else threshold
        if (described.get("identity"), described["threshold"]) != (identity, least):
            raise other_model(str(folder), "this one", least)


def _look(folder: Path, paths: list[str], problems: list[str]) -> tuple[list[str], Outcome]:
    """Return which images are to do, and the outcome if none is done."""
    done, here = done_in(folder), os.getcwd()
    before = [done.get(absolute(path, here)) for path in paths]
    todo = [path for path, was_read in zip(paths, before, strict=True) if was_read is None]
    outcome = Outcome(len(paths), len(paths) - len(todo), 0, 0, problems)
    return todo, outcome._replace(num_unread_before=before.count(False), paths=paths)


def _find_paths(
    inputs: Sequence[str | os.PathLike[str]], output: Path
) -> tuple[list[str], list[str]]:
    """Return images, in the order of the inputs, each once, and what is wrong with inputs that lead to none."""
    words = [os.fspath(word) for word in inputs]
    tables = [word for word in words if Path(word).suffix.lower() in TABLE_SUFFIXES]
    found = find_inputs([word for word in words if word not in tables], output=output)
    named = [path for table in tables for path in paths_of_table(user_path(table))]
    paths: dict[str, str] = {}
    problems = list(found.problems)
    for path in map(str, [*found.images, *named]):
        shown = path.encode(errors="backslashreplace").decode()
        if shown == path:
            paths.setdefault(os.path.abspath(path), path)
        else:
            problems.append(f"{shown}: no name in UTF-8, which Parquet files ask for: rename it.")
    videos = [f"{video}: a video, and workers take images alone." for video in found.videos]
    if found.left_out:
        logger.warning(describe_left_out(found.left_out))
    return list(paths.values()), [*problems, *videos]


def _deal(paths: Sequence[str], workers: int, images_per_file: int) -> list[pyarrow.Table]:
    """Return the parts, a table of one row each.

    The fewer images there are, the smaller: who calls again and again comes to the image that workers die of.
    """
    size = min(images_per_file, math.ceil(len(paths) / (_PARTS_EACH * workers)))
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    return [pyarrow.table({"paths": [part]}) for part in parts]


def _share(resources: dict[str, float], workers: int | None, gpus: bool) -> _Share:
    """Return how many workers there are, and what each has of the resources of a cluster."""
    cores, cards = int(resources.get("CPU", 1)), int(resources.get("GPU", 0)) * gpus
    count = workers or cards or cores
    # No worker has parts of two cards.
    share = 1 / math.ceil(count / cards) if cards else 0
    return _Share(count, max(1, cores // count), share)


def _run(job: Job, share: _Share, parts: list[pyarrow.Table], outcome: Outcome) -> Outcome:
    """Have workers do the parts; count and tell what they report."""
    reports = ray.data.from_arrow(parts).map_batches(
        PartWorker,
        batch_size=1,
        batch_format="pyarrow",
        fn_constructor_args=(job,),
        # One part at a time: of two both would begin anew, and a worker that is idle could not take the second.
        compute=ActorPoolStrategy(size=share.workers, max_tasks_in_flight_per_actor=1),
        num_cpus=share.cpus,
        num_gpus=share.gpus,
    )
    reports.context.enable_progress_bars = False
    reports.context.max_consecutive_actor_init_deaths = _MOST_LOST
    done = objects = given_up = 0
    problems, faults = list(outcome.problems), list[str]()
    bar = tqdm(total=outcome.num_images, initial=outcome.num_before, unit=" images", disable=None)
    try:
        with bar:
            for report in reports.iter_rows():
                if report["mistake"]:
                    raise UserError(report["mistake"])
                given_up += not report["images"]
                if given_up > _MOST_LOST:
                    reason = report["faults"][0] if report["faults"] else "each worker died of them"
                    raise OSError(f"{given_up} parts were given up: {reason}.")
                done += report["images"]
                objects += report["objects"]
                problems += report["problems"]
                faults += report["faults"]
                bar.update(report["images"])
    except RayError as error:
        raise OSError(
            f"Workers of Ray died ({str(error).strip().splitlines()[-1]}): {done:,} images are done, and the "
            "same call does the others."
        ) from error
    lost = outcome.num_images - outcome.num_before - done
    return outcome._replace(num_lost=lost, num_objects=objects, problems=problems, faults=faults)
