"""What a run says of itself: config.yaml and run.json, at its start and at its end."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import detectron2
import torch
import torchvision
from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.utils import comm

import solo
from solo.checkpoint.run_files import (
    CONFIG,
    METRICS,
    RUN,
    Conditions,
    Outcome,
    RunStatus,
    end_run_record,
    write_run_record,
)
from solo.data.kept_records import known_count
from solo.files import Spared, write_text
from solo.modeling.precision import amp_dtype, device_name
from solo.reached import best_of, evaluations, is_finite, is_result, logged_lines, metric_of
from solo.training.resumption import describe_changes

# What Ctrl-C ends a worker with.
_STOPPED = 130


def record_run(cfg: CfgNode, config_file: str, *, first: int = 0, weights: str = "") -> None:
    """Write config.yaml and run.json, which say of what training OUTPUT_DIR is, on the main process.

    Args:
        cfg: The config.
        config_file: As it was given.
        first: The iteration that training begins with; 0: it is not resumed.
        weights: The file that it goes on from. Empty: MODEL.WEIGHTS.

    Raises:
        OSError: If they cannot be written.
    """
    if not comm.is_main_process():
        return
    folder = Path(cfg.OUTPUT_DIR)
    changed = describe_changes(cfg, folder / CONFIG) if first else ""
    conditions = _conditions(cfg, first, weights or cfg.MODEL.WEIGHTS, changed)
    write_text(cfg.dump(), folder / CONFIG)
    write_run_record(folder, config_file, cfg.SOLVER.MAX_ITER, conditions)


@contextmanager
def told_end(cfg: CfgNode) -> Iterator[None]:
    """Write into run.json of OUTPUT_DIR how the training ended that was started meanwhile, if one was."""
    path = Path(cfg.OUTPUT_DIR, RUN)
    before = _content(path)
    status, reason = RunStatus.FINISHED, ""
    try:
        yield
    except BaseException as error:
        is_stop = isinstance(error, KeyboardInterrupt) or error.args == (_STOPPED,)
        status = RunStatus.INTERRUPTED if is_stop else RunStatus.FAILED
        reason = "" if is_stop else _reason(error)
        raise
    finally:
        # Not of a run that was there before, and stays.
        if _content(path) != before:
            with Spared(path):
                end_run_record(path.parent, _outcome(cfg, status, reason))


def versions() -> dict[str, str]:
    """Return the versions of what numbers depend on."""
    return {
        "solo": solo.__version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "detectron2": detectron2.__version__,
    }


def _conditions(cfg: CfgNode, first: int, weights: str, changed: str) -> Conditions:
    device = torch.device(cfg.MODEL.DEVICE)
    dtype = amp_dtype(device, cfg.MODEL.CPU.BFLOAT16) if cfg.SOLVER.AMP.ENABLED else None
    return Conditions(
        first=first,
        weights=weights,
        changed=changed,
        seed=cfg.SEED,
        workers=comm.get_world_size(),
        precision=str(dtype or torch.float32).removeprefix("torch."),
        device=str(device),
        device_name=device_name(device),
        versions=versions(),
        data={"train": _describe(cfg.DATASETS.TRAIN), "test": _describe(cfg.DATASETS.TEST)},
    )


def _describe(names: Sequence[str]) -> list[dict[str, Any]]:
    classes = (MetadataCatalog.get(name).get("thing_classes") or () for name in names)
    return [
        {"name": name, "images": known_count(name), "classes": len(known)}
        for name, known in zip(names, classes, strict=True)
    ]


def _outcome(cfg: CfgNode, status: RunStatus, reason: str) -> Outcome:
    """Return how a run ended, by what it logged."""
    done, metrics = None, {}
    best: dict[str, Any] = {}
    path = Path(cfg.OUTPUT_DIR, METRICS)
    for line in logged_lines(path):
        if "total_loss" in line:
            done = line["iteration"] + 1
        metrics.update({key: _finite(line[key]) for key in line if is_result(key)})
    reached = evaluations(path)
    tests, chosen = cfg.DATASETS.TEST, cfg.TEST.BEST_METRIC
    name = metric_of(reached, tests, chosen) if tests else ""
    if found := best_of(reached, name):
        best = {"metric": name, "value": found.metrics[name], "iteration": found.iteration}
    return Outcome(status=status, reason=reason, done=done, metrics=metrics, best=best)


def _finite(value: float | None) -> float | None:
    """Return a number, or None, which json has a word for."""
    return value if is_finite(value) else None


def _content(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


def _reason(error: BaseException) -> str:
    """Return the sentence of what ended a training."""
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return f"A worker ended with exit status {error.code}: log.txt tells why."
    lines = str(error).strip().splitlines() or [""]
    # Of a spawned worker it is a traceback, whose end is the error.
    sentence = lines[-1] if "Traceback" in str(error) else lines[0]
    return sentence.removeprefix("error: ") or type(error).__name__
