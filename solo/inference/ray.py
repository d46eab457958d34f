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

import contextlib
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from solo.errors import MissingPackageError, UserError
from solo.files import check_folder
from solo.inference.parquet_files import (
    TABLE_SUFFIXES,
    paths_in,
    paths_of_table,
    place_of,
    write_coco_json,
)
from solo.inference.predictor import Predictor
from solo.inference.ray_worker import Job, PartWorker, forget_tries
from solo.input_files import describe_left_out, find_inputs, user_path
from solo.layers.cpu import usable_cores

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

# Of a local cluster, bytes: names of files and counts pass through it, no images. Ray takes 75 MB at least.
_STORE = 100_000_000
# A local cluster tells others nothing of its use, and people less of itself.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
# Parts that may be given up, and workers in a row that may die before they begin, until all is given up.
_MOST_LOST = 10
# Parts that a worker gets at least, so that none is idle for long at the end.
_PARTS_EACH = 4


class Outcome(NamedTuple):
    """What became of a call."""

    num_images: int  # that were asked for
    num_before: int  # of these, whose results were there already
    num_lost: int  # of these, whose workers died again and again: they are still to do
    num_objects: int  # that were found now
    problems: list[str]  # of inputs that are none, and of images that were not read now, in words


class _Share(NamedTuple):
    """What one of so many workers has of a cluster."""

    workers: int
    cpus: int
    gpus: float


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
) -> Outcome:
    """Find the instances of images, and write them to a folder of Parquet files; resume what was begun.

    Images whose results, or reasons why there are none, are in the folder are not done again. Where Ray runs,
    in this process or at RAY_ADDRESS, its cluster is used, and inputs and output have to be the same on all its
    machines; else Ray is started on this machine, and ended.

    Args:
        inputs: Images, folders (without those in them), patterns such as "photos/**/*.jpg", and tables with a
            column `path`, .parquet or .csv.
        output: The folder.
        open_model: What builds the predictor in each worker, such as partial(Predictor.from_run, "output/cats").
            If it takes `threads`, it is told those of the worker.
        workers: None: one for each GPU, or core. Each has as many threads as is its share of the cores, or as
            OMP_NUM_THREADS says.
        gpus: Whether workers share the GPUs, where there are any.
        threshold: Score from which on instances are written. None: the predictor's own.
        images_per_file: At most: this much is done again after a worker died.
        imports: Modules of yours that register parts of the model.

    Raises:
        OSError: Nothing can be written to the folder, or workers die without end.
        UserError: The model cannot be built, a part cannot be written, or the folder holds results of another
            model, or damaged ones; or a table has no paths, or there is less than one worker or image a file.
    """
    if (workers is not None and workers < 1) or images_per_file < 1:
        raise UserError("Give 1 worker at least, and 1 image a file.")
    folder = Path(output).absolute()
    paths, problems = _find_paths(inputs, folder)
    check_folder(folder)
    done = paths_in(folder)
    todo = [path for path in paths if path not in done]
    outcome = Outcome(len(paths), len(paths) - len(todo), 0, 0, problems)
    if not todo:
        return outcome
    forget_tries(folder)
    with _cluster(workers):
        share = _share(ray.cluster_resources(), workers, gpus)
        threads = torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else share.cpus
        job = Job(open_model, str(folder), os.getcwd(), threads, threshold, tuple(imports))
        return _run(job, share, _deal(todo, share.workers, images_per_file), outcome)


def _find_paths(
    inputs: Sequence[str | os.PathLike[str]], output: Path
) -> tuple[list[str], list[str]]:
    """Return images, sorted, each once, and what is wrong with inputs that lead to none."""
    words = [os.fspath(word) for word in inputs]
    tables = [word for word in words if Path(word).suffix.lower() in TABLE_SUFFIXES]
    found = find_inputs([word for word in words if word not in tables], output=output)
    named = [path for table in tables for path in paths_of_table(user_path(table))]
    paths = {os.path.abspath(path): path for path in map(str, [*found.images, *named])}
    videos = [f"{video}: a video, and workers take images alone." for video in found.videos]
    if found.left_out:
        logger.warning(describe_left_out(found.left_out))
    return sorted(paths.values(), key=place_of), [*found.problems, *videos]


def _deal(paths: Sequence[str], workers: int, images_per_file: int) -> list[pyarrow.Table]:
    """Return the parts, a table of one row each.

    The fewer images there are, the smaller: who calls again and again comes to the image that workers die of.
    """
    size = min(images_per_file, math.ceil(len(paths) / (_PARTS_EACH * workers)))
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    return [pyarrow.table({"paths": [part]}) for part in parts]


@contextlib.contextmanager
def _cluster(workers: int | None) -> Iterator[None]:
    """Take the cluster that runs, or start one on this machine and end it."""
    if ray.is_initialized():
        yield
        return
    own: dict[str, Any] = {}
    if not os.environ.get("RAY_ADDRESS"):
        for name, word in _QUIET.items():
            os.environ.setdefault(name, word)
        cores = max(usable_cores(), workers or 1)
        own = {"address": "local", "num_cpus": cores, "object_store_memory": _STORE}
        own["include_dashboard"] = False
    # Its plans, and each death of a worker with its traceback; all of it is in Ray's logs.
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)
    with _sigterm_as_before():
        ray.init(**own, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _sigterm_as_before() -> Iterator[None]:
    """Undo what Ray does to the handler of a signal."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    yield
    if is_main:
        signal.signal(signal.SIGTERM, before)


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
    problems = list(outcome.problems)
    bar = tqdm(total=outcome.num_images, initial=outcome.num_before, unit=" images", disable=None)
    try:
        with bar:
            for report in reports.iter_rows():
                if report["mistake"]:
                    raise UserError(report["mistake"])
                given_up += not report["images"]
                if given_up > _MOST_LOST:
                    raise OSError(f"{given_up} parts were given up: each worker died of them.")
                done += report["images"]
                objects += report["objects"]
                problems += report["problems"]
                bar.update(report["images"])
    except RayError as error:
        raise OSError(
            f"Workers of Ray died ({str(error).strip().splitlines()[-1]}): {done:,} images are done, and the "
            "same call does the others."
        ) from error
    lost = outcome.num_images - outcome.num_before - done
    return outcome._replace(num_lost=lost, num_objects=objects, problems=problems)
