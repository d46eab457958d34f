"""What a training says at its end: the table, where things lie, what to do next; or where it stopped."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from solo.checkpoint import run_files
from solo.evaluation.result_tables import masks_first, overall_table, result_tables
from solo.inference.datasets import PREDICTIONS
from solo.reached import Reached, best_of, evaluations, metric_of
from solo.terminal import duration, tell

_MANY = 4  # checkpoints that are named
Table = Mapping[str, float]


def tell_end(cfg: CfgNode, results: Mapping[str, Any], *, done: int, seconds: float) -> None:
    """Say what a training has reached, what it wrote, how long it took, and what to do next.

    Args:
        cfg: The config, scaled to the workers.
        results: Of the last evaluation, as `solo.inference.datasets.evaluate` returns them.
        done: Iterations.
        seconds: That this start took.
    """
    folder = Path(cfg.OUTPUT_DIR)
    best = _best(cfg)
    rows = [*_rows(dict(tables_of(results)), best, done)]
    if rows:
        tell(f"\n{overall_table(rows, '(iteration)')}\n")
    if cfg.TEST.PATIENCE and done < cfg.SOLVER.MAX_ITER:
        tell(
            f"Stopped early, in iteration {done:,} of {cfg.SOLVER.MAX_ITER:,}: no gain in "
            f"{cfg.TEST.PATIENCE} evaluations (TEST.PATIENCE)."
        )
    for line in _written(folder, best, done):
        tell(f"written: {line}")
    run = shlex.quote(str(folder))
    tell(f"time:    {duration(seconds)}")
    tell(f"next:    solo predict --model {run} photo.jpg")
    tell(f"         solo report {run}")
    tell(f"         solo export --model {run} --output exported/")


def tell_evaluation(cfg: CfgNode, results: Mapping[str, Any], *, verbose: bool) -> None:
    """Say what MODEL.WEIGHTS reach on DATASETS.TEST, and where the predictions lie."""
    folder = Path(cfg.OUTPUT_DIR)
    tell(f"{cfg.MODEL.WEIGHTS} on {', '.join(cfg.DATASETS.TEST)}, AP in percent\n")
    tell(f"{result_tables(dict(tables_of(results)), verbose=verbose)}\n")
    for name in cfg.DATASETS.TEST:
        predictions = folder / "inference" / name
        if (predictions / PREDICTIONS).is_file():  # Cityscapes' evaluator writes none
            tell(f"written: predictions in {predictions}")


def tell_stop(cfg: CfgNode, sentence: str) -> None:
    """Say where a training was stopped and how it goes on, and what is kept, to standard error."""
    folder = Path(cfg.OUTPUT_DIR)
    names = [path.name for path in run_files.checkpoints(folder)]
    if len(names) > _MANY:
        names = [f"{len(names) - _MANY + 1} older checkpoints", *names[1 - _MANY :]]
    tell(f"{sentence}\nkept in {folder}: {', '.join([*names, run_files.LOG])}", sys.stderr)


@contextmanager
def told_log(cfg: CfgNode) -> Iterator[None]:
    """Add to the sentence of a failure where the log is, if there is one."""
    log = Path(cfg.OUTPUT_DIR, run_files.LOG)
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.code, str) or not log.is_file():
            raise
        raise SystemExit(f"{end.code}\nlog: {log}") from end
    except Exception:
        if log.is_file():
            tell(f"log: {log}", sys.stderr)
        raise


def tables_of(results: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Table]]:
    """Yield the tables of one data set, or of several in turn, by the name of their task."""
    if results and not any(isinstance(value, Mapping) for value in results.values()):
        yield name, results
        return
    for inner, value in results.items():
        yield from tables_of(value, f"{name}/{inner}" if name else inner)


def _best(cfg: CfgNode) -> Reached | None:
    if not cfg.DATASETS.TEST:
        return None
    found = evaluations(Path(cfg.OUTPUT_DIR, run_files.METRICS))
    return best_of(found, metric_of(found, cfg.DATASETS.TEST, cfg.TEST.BEST_METRIC))


def _rows(last: dict[str, Table], best: Reached | None, done: int) -> Iterator[tuple[str, Table]]:
    """Yield the lines of the table: of each task the last numbers, and those of the best evaluation."""
    is_best = best is not None and best.iteration >= done
    of_best: dict[str, dict[str, float]] = {}
    for name, value in best.metrics.items() if best and not is_best else ():
        task, _, metric = name.rpartition("/")
        of_best.setdefault(task, {})[metric] = value
    earlier = dict(masks_first(of_best))
    for task, table in masks_first(last):
        yield f"{task}, {'best and ' * is_best}last ({done:,})", table
        if best and task in earlier:
            yield f"{task}, best ({best.iteration:,})", earlier[task]


def _written(folder: Path, best: Reached | None, done: int) -> Iterator[str]:
    if best and (folder / run_files.BEST_CHECKPOINT).is_file():
        yield f"{folder / run_files.BEST_CHECKPOINT}, of iteration {min(best.iteration, done):,}"
    if (folder / run_files.FINAL_CHECKPOINT).is_file():
        yield f"{folder / run_files.FINAL_CHECKPOINT}, of iteration {done:,}"
    for name in (run_files.CURVES, run_files.LOG):
        if (folder / name).is_file():
            yield str(folder / name)
