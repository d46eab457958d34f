r"""What recipes learn from the same budget: configs x seeds on one data set, and rivals beside them, in one table.

Examples:
    python benchmarks/recipes.py plain plus --data stamps --output runs --seeds 2
    python benchmarks/recipes.py --data stamps --output screen --iters 600 --opts SOLVER.AMP.ENABLED True
    python benchmarks/recipes.py plain plus --data stamps --output runs --seeds 2 \
        --rival "Mask R-CNN=python rival_maskrcnn.py {data} {output} {iters} 64"

--data is a folder with train.json, train/, val.json and val/ in COCO's format; without it, the data sets of the
config. Runs that are in --output already are not done again, and one that was interrupted goes on. A rival is a
command that compares its detections by pycocotools; what it hands to it is kept, and compared as ours are.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import cv2
import yaml
from detectron2.config import CfgNode
from learned import Learned, compare
from tqdm import tqdm

from solo.benchmark.tables import Report, write_json
from solo.config.load import load_config
from solo.data import load_records
from solo.errors import UserError, exit_on
from solo.files import write_text
from solo.images import read_image
from solo.inference import Predictor
from solo.reached import logged_lines

HERE = Path(__file__).parent
RECIPES = HERE / "recipes.yaml"
TIMED = (
    "AP of masks and of boundaries on held-out images in percent: mean over the seeds, and their range. step: the\n"
    "median of a training step in ms, with loading; of a rival the time of its run over the iterations. ms: from a\n"
    "BGR image to masks of its size, one at a time, median over the turns that the models take. MB: peak of the process."
)
HEADERS = (
    *("recipe", "seeds", "AP", "range", "boundary", "range", "AP50", "AP75", "small", "medium"),
    *("step", "x plain", "MB", "ms", "x plain"),
)


class Row(NamedTuple):
    """A recipe in the table; see `HEADERS` and `TIMED`."""

    name: str
    seeds: int
    ap: float
    ap_range: str
    boundary: float
    boundary_range: str
    ap50: float
    ap75: float
    small: float
    medium: float
    step_ms: float
    step_ratio: float
    peak_mb: float
    infer_ms: float | None
    infer_ratio: float | None


class Run(NamedTuple):
    """A training.

    Attributes:
        name: Of the recipe.
        seed: Of the training.
        command: That trains and evaluates.
        folder: Where it writes.
        detections: The file in which its detections are, at the end.
        is_rival: Whether its step is the time of the run over the iterations.
    """

    name: str
    seed: int
    command: list[str]
    folder: Path
    detections: Path
    is_rival: bool = False


def main() -> None:
    """Train what is not trained yet, then print the table and write it to OUTPUT/recipes.json."""
    args = _parse()
    recipes = _recipes(args.recipes, args.names)
    output = Path(args.output)
    seeds = range(1, args.seeds + 1)
    runs = [_ours(args, name, keys, seed) for name, keys in recipes for seed in seeds]
    for rival in args.rival:
        runs += [_rival(args, *rival.split("=", 1), seed) for seed in seeds]
    cfg = _config(args, recipes[0][1])
    try:
        for run in (bar := tqdm(runs, unit="run")):
            bar.set_postfix_str(f"{run.name}, seed {run.seed}")
            _do(run, args.iters or cfg.SOLVER.MAX_ITER, cfg.DATASETS.TEST[0])
    finally:
        # Ctrl-C keeps what was learnt so far.
        rows = _rows(runs, [] if args.no_speed else _images(cfg))
        if rows:
            report = Report(HEADERS, rows, TIMED)
            print(report.table())
            write_json(report, output / "recipes.json")
            print(f"written: {output / 'recipes.json'}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; default: all")
    parser.add_argument("--recipes", type=Path, default=RECIPES, help="default: recipes.yaml here")
    parser.add_argument("--data", default="", metavar="DIR")
    parser.add_argument("--output", required=True, metavar="DIR", help="of the runs and the table")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many, from 1 on")
    parser.add_argument("--iters", type=int, default=0, help="default: as the config says")
    parser.add_argument("--rival", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--no-speed", action="store_true", help="leave out the time of inference")
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="for all of ours"
    )
    return parser.parse_args()


def _recipes(file: Path, only: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return names and keys of the recipes that are asked for, in the order asked."""
    known = yaml.safe_load(file.read_text())
    base = known.pop("base")
    if unknown := [name for name in only if name not in known]:
        raise UserError(f"{file} has no recipe {unknown[0]}; it has {', '.join(known)}")
    return [(name, {"config": base, **(known[name] or {})}) for name in only or known]


def _config(args: argparse.Namespace, keys: Mapping[str, Any]) -> CfgNode:
    return load_config(_file(keys["config"]), [*_options(keys), *_data(args.data), *args.opts])


def _file(config: str) -> Path:
    """Return the yaml file of a config by its name."""
    return HERE.parent / "configs" / f"{config}.yaml"


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


def _ours(args: argparse.Namespace, name: str, keys: Mapping[str, Any], seed: int) -> Run:
    """Return the run of a recipe of ours; a schedule of other length keeps its shares."""
    cfg = _config(args, keys)
    iters = args.iters or cfg.SOLVER.MAX_ITER
    share = iters / cfg.SOLVER.MAX_ITER
    schedule = {
        "SOLVER.MAX_ITER": iters,
        "SOLVER.STEPS": tuple(int(step * share) for step in cfg.SOLVER.STEPS),
        "SOLVER.WARMUP_ITERS": min(cfg.SOLVER.WARMUP_ITERS, iters // 5),
        "INPUT.MULTI_IMAGE_OFF_ITERS": int(cfg.INPUT.MULTI_IMAGE_OFF_ITERS * share),
        "SOLVER.CHECKPOINT_PERIOD": max(iters // 2, 1),
        "TEST.EVAL_PERIOD": 0,
        "SEED": seed,
    }
    folder = Path(args.output, name.replace(" ", "_"), f"seed{seed}")
    command = [sys.executable, "-m", "solo", "train", "--config", str(_file(keys["config"]))]
    command += ["--resume", "--output", str(folder)]
    command += [*_options(keys), *_data(args.data), *_options(schedule), *args.opts]
    detections = folder / "inference" / cfg.DATASETS.TEST[0] / "coco_instances_results.json"
    return Run(name, seed, command, folder, detections)


def _rival(args: argparse.Namespace, name: str, command: str, seed: int) -> Run:
    """Return the run of a rival, through kept_detections.py, by the interpreter that it names."""
    folder = Path(args.output, name.replace(" ", "_"), f"seed{seed}")
    detections = folder / "detections.json"
    places = {"data": args.data, "output": folder, "iters": args.iters or 1800, "seed": seed}
    interpreter, *rest = shlex.split(command.format(**places))
    kept = [interpreter, str(HERE / "kept_detections.py"), str(detections)]
    return Run(name, seed, [*kept, *rest], folder, detections, is_rival=True)


def _do(run: Run, iters: int, dataset: str) -> None:
    """Train, unless that is done, and note beside it what was learnt."""
    if (run.folder / "learned.json").exists():
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with (run.folder / "console.txt").open("ab") as console:
        process = subprocess.Popen(run.command, stdout=console, stderr=console)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise UserError(f"{run.name}, seed {run.seed}, failed: see {run.folder / 'console.txt'}")
    steps = [line["time"] for line in logged_lines(run.folder / "metrics.json") if "time" in line]
    step = median(steps) if steps and not run.is_rival else (time.monotonic() - start) / iters
    learned = compare(json.loads(run.detections.read_text()), dataset)
    # Linux has kilobytes there.
    learned = learned._replace(step_ms=1000 * step, peak_mb=usage.ru_maxrss * 1024 / 1e6)
    write_text(json.dumps(learned._asdict(), indent=1), run.folder / "learned.json")


def _images(cfg: CfgNode, count: int = 50) -> list[Any]:
    """Return the first images to evaluate on."""
    files = [record["file_name"] for record in load_records(cfg.DATASETS.TEST[0])[:count]]
    return [cv2.cvtColor(read_image(file, "RGB"), cv2.COLOR_RGB2BGR) for file in files]


def _speeds(folders: Sequence[Path], images: Sequence[Any], turns: int = 5) -> list[float]:
    """Return the median of ms an image of each model; they take turns, after a first one that does not count."""
    predictors = [Predictor.from_run(folder) for folder in folders]
    seconds: list[list[float]] = [[] for _ in predictors]
    for _ in range(turns + 1):
        for predictor, times in zip(predictors, seconds, strict=True):
            start = time.perf_counter()
            for image in images:
                predictor(image)
            times.append((time.perf_counter() - start) / len(images))
    return [1000 * median(times[1:]) for times in seconds]


def _rows(runs: Sequence[Run], images: Sequence[Any]) -> list[Row]:
    """Return a row for each recipe of which something was learnt; ratios are to the first."""
    by_name: dict[str, list[tuple[Run, Learned]]] = {}
    for run in runs:
        if (file := run.folder / "learned.json").exists():
            learned = Learned(**json.loads(file.read_text()))
            by_name.setdefault(run.name, []).append((run, learned))
    ours = {name: found[0][0].folder for name, found in by_name.items() if not found[0][0].is_rival}
    speeds = (
        dict(zip(ours, _speeds([*ours.values()], images), strict=True)) if images and ours else {}
    )
    rows: list[Row] = []
    for name, found in by_name.items():
        rows.append(_row(name, [learned for _, learned in found], speeds.get(name), rows[:1]))
    return rows


def _row(
    name: str, learned: Sequence[Learned], infer_ms: float | None, first: Sequence[Row]
) -> Row:
    def over_seeds(values: Iterable[float]) -> float:
        return round(mean(values), 2)

    step = over_seeds(item.step_ms for item in learned)
    plain = first[0] if first else None
    return Row(
        name,
        len(learned),
        over_seeds(item.ap for item in learned),
        _range([item.ap for item in learned]),
        over_seeds(item.boundary for item in learned),
        _range([item.boundary for item in learned]),
        over_seeds(item.ap50 for item in learned),
        over_seeds(item.ap75 for item in learned),
        over_seeds(item.small for item in learned),
        over_seeds(item.medium for item in learned),
        step,
        round(step / plain.step_ms, 2) if plain else 1.0,
        round(max(item.peak_mb for item in learned)),
        infer_ms and round(infer_ms, 2),
        infer_ms and (round(infer_ms / plain.infer_ms, 2) if plain and plain.infer_ms else 1.0),
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""


if __name__ == "__main__":
    with exit_on():
        main()
