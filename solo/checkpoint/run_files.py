"""The files of a run, as training leaves them in OUTPUT_DIR: their names, and what run.json says."""

import contextlib
import datetime
import json
import shlex
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from solo.config.word import Word
from solo.errors import UserError, told_as
from solo.files import write_text

CONFIG = "config.yaml"
RUN = "run.json"
METRICS = "metrics.json"
CURVES = "curves.png"
FINAL_CHECKPOINT = "model_final.pth"
BEST_CHECKPOINT = "model_best.pth"
LOG = "log.txt"
# Names the checkpoint to continue from.
LAST_CHECKPOINT = "last_checkpoint"
# A folder in OUTPUT_DIR: the run before, with --overwrite.
PREVIOUS_RUN = "previous"
# A folder in OUTPUT_DIR: what --eval-only finds with the checkpoints of a run; training writes its own beside it.
EVALUATIONS = "eval"
# The numbers of a run that ended without a checkpoint, before another one was started.
PREVIOUS_METRICS = "metrics.previous.json"
# What older versions kept of a run in whose folder another one was started.
PREVIOUS_CHECKPOINT = "last_checkpoint.previous"
# The runs of W&B and MLflow that a resumed training goes on with.
LOGGERS = "loggers.json"
# Locked by the process that trains.
LOCK = ".lock"

_CHECKPOINTS = "model_*.pth"
# All but the log, which goes on.
_OF_A_RUN = (
    _CHECKPOINTS,
    LAST_CHECKPOINT,
    METRICS,
    CURVES,
    CONFIG,
    RUN,
    LOGGERS,
    "events.out.tfevents.*",
)


class RunStatus(Word):
    """How far a start of a training has come."""

    RUNNING = "running"  # or ended in a way that nobody could write down, as by a kill
    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a training runs on, and with what."""

    first: int = 0  # iteration; not 0: it was resumed
    weights: str = ""  # the file that it started from
    changed: str = ""  # keys of the config since the start before
    seed: int = -1  # below 0: none
    workers: int = 1  # processes
    precision: str = "float32"
    device: str = ""
    device_name: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    # Per "train" and "test", of each data set name, images (null: not known) and classes.
    data: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended, and what it reached."""

    status: RunStatus = RunStatus.RUNNING
    reason: str = ""  # of a failure
    ended: str = ""  # date and time, in ISO format
    done: int | None = None  # iterations, with those of the starts before
    metrics: dict[str, float | None] = field(default_factory=dict)  # of the last evaluation
    # Metric, value and iteration: the steps that were taken until then.
    best: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Start:
    """A training that was started, or resumed."""

    config_file: str  # as it was given; config.yaml holds all keys, but not this name
    command: str
    started: str  # date and time, in ISO format
    iterations: int  # at which it ends
    # Older versions wrote neither.
    conditions: Conditions | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class RunRecord:
    """How a training was called and what it ran on, each time that it was started or resumed."""

    starts: tuple[Start, ...]

    @property
    def last(self) -> Start:
        """The last start, of which the present config.yaml is."""
        return self.starts[-1]


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, sorted by name."""
    return sorted(folder.glob(_CHECKPOINTS))


def model_of_run(folder: Path, weights: Path | None = None) -> tuple[Path, Path]:
    """Return the config and the checkpoint that make the model of a run.

    Args:
        folder: The OUTPUT_DIR of the training.
        weights: The checkpoint. None: the last one of this run, not of an earlier one in its folder.

    Raises:
        FileNotFoundError: There is no config, or no checkpoint of this run.
    """
    config_file = folder / CONFIG
    if not config_file.is_file():
        raise FileNotFoundError(
            f"{folder} has no config.yaml: give the folder that a training wrote, its OUTPUT_DIR."
        )
    weights = weights or last_checkpoint(folder)
    if not weights.is_file():
        raise FileNotFoundError(f"There is no checkpoint {weights}: name another with --weights.")
    return config_file, weights


def last_checkpoint(folder: Path) -> Path:
    """Return the last checkpoint of the run that config.yaml is of; the folder may hold another run's, too.

    Raises:
        FileNotFoundError: There is none.
    """
    final, marker = folder / FINAL_CHECKPOINT, folder / LAST_CHECKPOINT
    is_anew = any((folder / name).is_file() for name in (PREVIOUS_CHECKPOINT, PREVIOUS_METRICS))
    if marker.is_file():
        # A checkpoint is written before the marker names it: an older one that is not named is of
        # another run. A copy may have other times.
        if final.is_file() and not is_anew and _time(final) >= _time(marker):
            return final
        return folder / marker.read_text(encoding="utf-8", errors="replace").strip()
    if final.is_file() and not is_anew:
        return final
    if older := sorted(path.name for path in folder.glob("[!.]*.pth")):
        raise FileNotFoundError(
            f"{folder} has checkpoints of an earlier run only ({', '.join(older)}), to which its "
            "config.yaml does not belong: wait for the first one of this run, or name one with "
            "--weights."
        )
    raise FileNotFoundError(
        f"{folder} has no checkpoint yet: wait for the first one, or name one with --weights."
    )


def _time(path: Path) -> int:
    return path.stat().st_mtime_ns


def of_a_run(folder: Path) -> list[Path]:
    """Return all files in a folder that a run consists of."""
    return [path for pattern in _OF_A_RUN for path in folder.glob(pattern)]


def write_run_record(
    folder: Path, config_file: str, iterations: int, conditions: Conditions | None = None
) -> None:
    """Write into run.json of OUTPUT_DIR a start by the command of this process.

    What resumes a run is added to its starts.

    Raises:
        OSError: It cannot be written.
    """
    conditions = conditions or Conditions()
    earlier: tuple[Start, ...] = ()
    # No reason not to go on with a run.
    with contextlib.suppress(UserError):
        if conditions.first > 0 and (record := read_run_record(folder)):
            earlier = tuple(map(_not_running, record.starts))
    command = shlex.join(sys.argv)
    start = Start(config_file, command, _now(), iterations, conditions, Outcome())
    _write(RunRecord((*earlier, start)), folder)


def end_run_record(folder: Path, outcome: Outcome) -> None:
    """Write into run.json how the last start ended, if nothing says so yet.

    Raises:
        OSError: It cannot be read or written.
        UserError: It is none that training wrote.
    """
    record = read_run_record(folder)
    if not record or not record.last.outcome or record.last.outcome.status != RunStatus.RUNNING:
        return
    last = replace(record.last, outcome=replace(outcome, ended=_now()))
    _write(RunRecord((*record.starts[:-1], last)), folder)


def read_run_record(folder: Path) -> RunRecord | None:
    """Return what run.json says; None where there is none, as of a run of an older version.

    Raises:
        UserError: It is none that training wrote.
        OSError: It cannot be read.
    """
    path = folder / RUN
    if not path.is_file():
        return None
    with told_as(f"{path} cannot be read", advice="; remove it, as the report does without"):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(content, dict), "it is no record"
        # An older version wrote of the last start only.
        return RunRecord(tuple(map(_start, content.get("starts") or [content])))


def _write(record: RunRecord, folder: Path) -> None:
    write_text(json.dumps(asdict(record), indent=1), folder / RUN)


def _start(content: dict[str, Any]) -> Start:
    names = ("config_file", "command", "started", "iterations")
    start = Start(*(content[name] for name in names))
    if not content.get("conditions"):
        return start
    conditions = _known(Conditions.__annotations__, content["conditions"])
    outcome = _known(Outcome.__annotations__, content["outcome"])
    outcome["status"] = RunStatus(outcome["status"])
    return replace(start, conditions=Conditions(**conditions), outcome=Outcome(**outcome))


def _known(names: Collection[str], content: dict[str, Any]) -> dict[str, Any]:
    """Return what this version has a name for: a newer one may have written more."""
    return {name: content[name] for name in names if name in content}


def _not_running(start: Start) -> Start:
    """Return a start that another one followed: what was not ended was killed."""
    if not start.outcome or start.outcome.status != RunStatus.RUNNING:
        return start
    return replace(start, outcome=replace(start.outcome, status=RunStatus.INTERRUPTED))


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
