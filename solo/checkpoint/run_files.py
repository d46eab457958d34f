"""The files of a run, as training leaves them in OUTPUT_DIR: their names, and what run.json says."""

import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from solo.errors import told_as
from solo.files import write_text

CONFIG = "config.yaml"
RUN = "run.json"
METRICS = "metrics.json"
CURVES = "curves.png"
FINAL_CHECKPOINT = "model_final.pth"
# Names the checkpoint to continue from.
LAST_CHECKPOINT = "last_checkpoint"
# A folder in OUTPUT_DIR: the run before, with --overwrite.
PREVIOUS_RUN = "previous"
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


class RunRecord(NamedTuple):
    """How a training was called, the last time that it was started or resumed."""

    config_file: str  # as it was given; config.yaml holds all keys, but not this name
    command: str
    started: str  # date and time, in ISO format
    iterations: int  # at which it ends


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, sorted by name."""
    return sorted(folder.glob(_CHECKPOINTS))


def of_a_run(folder: Path) -> list[Path]:
    """Return all files in a folder that a run consists of."""
    return [path for pattern in _OF_A_RUN for path in folder.glob(pattern)]


def write_run_record(folder: Path, config_file: str, iterations: int) -> None:
    """Write run.json into OUTPUT_DIR, for the command that this process was started with.

    Raises:
        OSError: It cannot be written.
    """
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    record = RunRecord(config_file, shlex.join(sys.argv), started, iterations)
    write_text(json.dumps(record._asdict(), indent=1), folder / RUN)


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
        return RunRecord(**{name: content[name] for name in RunRecord._fields})
