"""From somebody's data to a config that trains on it, as a small yaml with the reasons in it."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from solo.checkpoint import run_files
from solo.config import get_cfg
from solo.config.merge import merge_options
from solo.errors import UserError
from solo.files import check_folder, write_text
from solo.survey.choices_file import Draft
from solo.survey.data_entries import data_entries
from solo.survey.found_data import data_name, find_data
from solo.survey.plan_files import free_place, present_plan
from solo.survey.plan_rules import Machine, choose_all
from solo.survey.starting_point import NONE, starting_point


class Plan(NamedTuple):
    """A config file, and what to tell of it."""

    file: Path
    reasons: list[str]
    is_new: bool = True  # and holds what was given


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
    """Choose how to train on a data set, and write it into OUTPUT_DIR, as plan.yaml if a run there needs none.

    Args:
        data: A folder, or a file of annotations, in any format that is read.
        model: See :func:`starting_point`.
        weights: See :func:`starting_point`.
        epochs: How often each image is seen, or SOLVER.EPOCHS among the options; None: by the number of images.
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
    output = _given(options).get("OUTPUT_DIR") or output
    folder = Path(output or os.path.join("output", data_name(data, files.get("annotations", ""))))
    if resume and (file := present_plan(folder)):
        flags = {"model": model, "weights": weights, "epochs": epochs, "device": device, **files}
        return Plan(file, [_told_again(file, flags)], is_new=False)
    options, epochs = _epochs(options, epochs)
    start = starting_point(model, _weights(options, weights))
    found = find_data(data, **files)
    draft = Draft(start.config(), options)
    draft.choose("", OUTPUT_DIR=str(folder))
    _prepare_output(folder, overwrite=overwrite)
    file, data_folder = free_place(folder)
    entries = data_entries(found, data_folder)
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


def _given(options: Sequence[str]) -> dict[str, str]:
    return dict(zip(options[::2], options[1::2], strict=False))


def _told_again(file: Path, flags: Mapping[str, object]) -> str:
    """Say that a plan stands, and which flags are not heeded for that; those that name the data are no others."""
    told = f"as {file} says, which was chosen before"
    ignored = [
        f"--{name.replace('_', '-')}"
        for name, value in flags.items()
        if value and name not in ("annotations", "images")
    ]
    if not ignored:
        return told
    return f"{told}; ignored: {', '.join(ignored)}, KEY VALUE at the end changes a setting"


def _epochs(options: Sequence[str], epochs: float | None) -> tuple[list[str], float | None]:
    """Return KEY VALUE pairs without SOLVER.EPOCHS, and the epochs that they name, or else these."""
    if epochs is not None and not (0 < epochs < math.inf):
        raise UserError(f"--epochs is {epochs}: give a number above 0.")
    rest: list[str] = []
    for place in range(0, len(options), 2):
        key, *value = options[place : place + 2]
        if key != "SOLVER.EPOCHS" or not value:
            rest += [key, *value]
            continue
        cfg = get_cfg()
        merge_options(cfg, [key, *value])
        if not 0 <= cfg.SOLVER.EPOCHS < math.inf:
            raise UserError(f"{key} is {value[0]}: give a number of epochs, or 0.")
        epochs = cfg.SOLVER.EPOCHS or epochs
    return rest, epochs


def _weights(options: Sequence[str], weights: str) -> str:
    """Return the weights that KEY VALUE pairs name, or else these."""
    given = _given(options)
    return given.get("MODEL.WEIGHTS", weights) or NONE * ("MODEL.WEIGHTS" in given)


def _prepare_output(folder: Path, *, overwrite: bool) -> None:
    """Make OUTPUT_DIR; stop before the files of a run are written over."""
    if not overwrite and run_files.checkpoints(folder):
        raise UserError(
            f"OUTPUT_DIR {folder} holds a run: --resume goes on with it, --overwrite begins anew; or name "
            "another --output."
        )
    check_folder(folder, f"OUTPUT_DIR {str(folder)!r}")
