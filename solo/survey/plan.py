"""From somebody's data to a config that trains on it, as a small yaml with the reasons in it."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from solo.checkpoint import run_files
from solo.errors import UserError
from solo.files import check_folder, write_text
from solo.survey.choices_file import Draft
from solo.survey.data_entries import data_entries
from solo.survey.found_data import find_data
from solo.survey.plan_rules import Machine, choose_all
from solo.survey.starting_point import NONE, starting_point

PLAN = "plan.yaml"


class Plan(NamedTuple):
    """A config file, and what to tell of it."""

    file: Path
    reasons: list[str]


def plan_for(
    data: str = "",
    *,
    model: str = "",
    weights: str = "",
    epochs: float | None = None,
    output: str = "",
    device: str = "",
    gpus: int = 1,
    options: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
    **files: str,
) -> Plan:
    """Choose how to train on a data set, and write it to OUTPUT_DIR/plan.yaml.

    Args:
        data: A folder, or a file of annotations, in any format that is read.
        model: See :func:`starting_point`.
        weights: See :func:`starting_point`.
        epochs: How often each image is seen; None: by the number of images.
        output: OUTPUT_DIR; empty: output/NAME, with the name of the data.
        device: Of torch; empty: a GPU if there is one.
        gpus: How many share a batch.
        options: KEY VALUE KEY VALUE ..., which override what is chosen.
        overwrite: Whether OUTPUT_DIR may hold a run.
        resume: Whether the plan that OUTPUT_DIR holds stands, if there is one.
        files: What :func:`find_data` takes besides: annotations, images, val_annotations, val_images.

    Raises:
        OSError: A file cannot be read or written.
        UserError: The data cannot be trained on, or something given is wrong.
    """
    if epochs is not None and not (0 < epochs < math.inf):
        raise UserError(f"--epochs is {epochs}: give a number above 0.")
    start = starting_point(model, _weights(options, weights))
    found = find_data(data, **files)
    draft = Draft(start.config(), options)
    draft.choose("", OUTPUT_DIR=output or os.path.join("output", found.name))
    folder = Path(draft.cfg.OUTPUT_DIR)
    file = folder / PLAN
    if resume and file.is_file():
        return Plan(file, [f"as {file} says, which was chosen before"])
    _prepare_output(folder, overwrite=overwrite)
    entries = data_entries(found, folder / "data")
    choose_all(draft, entries, start, this_machine(device, gpus), epochs)
    head = f"Chosen for {data or found.train.annotations}. To change it, copy it and train by --config."
    write_text(draft.as_yaml(head, start.config_file), file)
    return Plan(file, [choice.reason for choice in draft.choices if choice.reason])


def this_machine(device: str = "", processes: int = 1) -> Machine:
    """Return what there is.

    Args:
        device: Of torch; empty: a GPU if there is one.
        processes: That train together, as a rule with a GPU each; 0: one, on the CPU.
    """
    device = device or ("cuda" if torch.cuda.is_available() and processes else "cpu")
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    machine = Machine(device, cores, processes=max(processes, 1))
    if not device.startswith("cuda") or not torch.cuda.is_available():
        return machine
    return machine._replace(gib=torch.cuda.get_device_properties(device).total_memory / 2**30)


def _weights(options: Sequence[str], weights: str) -> str:
    """Return the weights that KEY VALUE pairs name, or else these."""
    given = dict(zip(options[::2], options[1::2], strict=False))
    return given.get("MODEL.WEIGHTS", weights) or NONE * ("MODEL.WEIGHTS" in given)


def _prepare_output(folder: Path, *, overwrite: bool) -> None:
    """Make OUTPUT_DIR; stop before the files of a run are written over."""
    if not overwrite and run_files.checkpoints(folder):
        raise UserError(
            f"OUTPUT_DIR {folder} holds a run: --resume goes on with it, --overwrite begins anew; or name "
            "another --output."
        )
    check_folder(folder, f"OUTPUT_DIR {str(folder)!r}")
