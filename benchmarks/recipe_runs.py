"""The trainings that recipes.py compares: what each is run by, and what is kept of it."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from detectron2.config import CfgNode
from learned import Learned, compare

from solo.config.load import load_config
from solo.errors import UserError
from solo.files import write_text

HERE = Path(__file__).parent
LEARNED, CONSOLE = "learned.json", "console.txt"
# What counts iterations, and keeps its share of a schedule of another length.
_COUNTS = (
    "SOLVER.WARMUP_ITERS",
    "INPUT.MULTI_IMAGE_OFF_ITERS",
    "MODEL.SOLO.DYNAMIC.WARMUP_ITERS",
    "MODEL.SOLO.BOX_SUPERVISION.WARMUP_ITERS",
)


class Run(NamedTuple):
    """A training.

    Attributes:
        name: Of the recipe.
        seed: Of the training.
        command: That trains and evaluates.
        folder: Where it writes.
        detections: The file in which its detections are, at the end.
        iters: Steps of the training.
        is_rival: Whether it is of other code than ours.
    """

    name: str
    seed: int
    command: list[str]
    folder: Path
    detections: Path
    iters: int
    is_rival: bool = False

    def learned(self) -> Learned | None:
        """Return what it learnt, if it is done.

        Raises:
            UserError: If the folder is of another command.
        """
        file = self.folder / LEARNED
        if not file.exists():
            return None
        content = json.loads(file.read_text())
        if content.pop("command") != self.command:
            raise UserError(
                f"{file} is of another command than {shlex.join(self.command)}: give another --output, or "
                "remove the folder"
            )
        return Learned(**content)


def read_recipes(file: Path, names: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return names and keys of the recipes that are asked for, in the order asked; of all without a name."""
    known = yaml.safe_load(file.read_text())
    base = known.pop("base")
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"{file} has no recipe {unknown[0]}; it has {', '.join(known)}")
    return [(name, {"config": base, **known[name]}) for name in names or known]


def config_of(keys: Mapping[str, Any], data: str, opts: Sequence[str]) -> CfgNode:
    """Return the config of a recipe on the data sets of a folder."""
    return load_config(_file(keys["config"]), [*_options(keys), *_data(data), *opts])


def our_run(
    name: str,
    keys: Mapping[str, Any],
    seed: int,
    *,
    output: Path,
    data: str = "",
    iters: int = 0,
    opts: Sequence[str] = (),
) -> Run:
    """Return the run of a recipe of ours; a schedule of another length keeps its shares."""
    cfg = config_of(keys, data, opts)
    share = iters / cfg.SOLVER.MAX_ITER if iters else 1.0
    iters = iters or cfg.SOLVER.MAX_ITER
    schedule = {
        "SOLVER.MAX_ITER": iters,
        "SOLVER.STEPS": tuple(
            sorted({min(round(step * share), iters - 1) for step in cfg.SOLVER.STEPS})
        ),
        **{key: round(_value(cfg, key) * share) for key in _COUNTS},
        "SOLVER.CHECKPOINT_PERIOD": max(iters // 2, 1),
        "TEST.EVAL_PERIOD": 0,
        "SEED": seed,
    }
    folder = output / name.replace(" ", "_") / f"seed{seed}"
    command = [sys.executable, "-m", "solo", "train", "--config", str(_file(keys["config"]))]
    command += ["--resume", "--output", str(folder)]
    command += [*_options(keys), *_data(data), *_options(schedule), *opts]
    detections = folder / "inference" / cfg.DATASETS.TEST[0] / "coco_instances_results.json"
    return Run(name, seed, command, folder, detections, iters)


def rival_run(rival: str, seed: int, *, output: Path, data: str, iters: int) -> Run:
    """Return the run of a rival, NAME=COMMAND, through kept_detections.py, by the interpreter that it names."""
    name, _, command = rival.partition("=")
    folder = output / name.replace(" ", "_") / f"seed{seed}"
    detections = folder / "detections.json"
    places = {"data": data, "output": folder, "iters": iters, "seed": seed}
    interpreter, *rest = shlex.split(command.format(**places))
    kept = [interpreter, str(HERE / "kept_detections.py"), str(detections)]
    return Run(name, seed, [*kept, *rest], folder, detections, iters, is_rival=True)


def do_run(run: Run, dataset: str) -> None:
    """Train, unless that is done, and write beside it what was learnt.

    Raises:
        UserError: If the command fails, or the folder is of another one.
    """
    if run.learned():
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with (run.folder / CONSOLE).open("ab") as console:
        process = subprocess.Popen(run.command, stdout=console, stderr=console)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise UserError(f"{run.name}, seed {run.seed}, failed: see {run.folder / CONSOLE}")
    seconds = time.monotonic() - start
    learned = compare(json.loads(run.detections.read_text()), dataset)
    # Linux counts kilobytes there.
    learned = learned._replace(run_s=seconds, peak_mb=usage.ru_maxrss * 1024 / 1e6)
    content = {**learned._asdict(), "command": run.command}
    write_text(json.dumps(content, indent=1), run.folder / LEARNED)


def _file(config: str) -> Path:
    """Return the yaml file of a config by its name."""
    return HERE.parent / "configs" / f"{config}.yaml"


def _value(cfg: CfgNode, key: str) -> int:
    for part in key.split("."):
        cfg = cfg[part]
    return int(cfg)


def _options(keys: Mapping[str, Any]) -> list[str]:
    """Return keys of a recipe as options of a command."""
    pairs = ((key, value) for key, value in keys.items() if key != "config")
    return [text for key, value in pairs for text in (key, str(value))]


def _data(folder: str) -> list[str]:
    """Return the options that register the data sets of a folder."""
    if not folder:
        return []
    path = Path(folder).resolve()
    files = [
        [f"recipes_{part}", f"{path / part}.json", f"{path / part}"] for part in ("train", "val")
    ]
    names = ("DATASETS.TRAIN", '("recipes_train",)', "DATASETS.TEST", '("recipes_val",)')
    return ["DATASETS.COCO_JSON", str(files), *names]
