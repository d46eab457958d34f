r"""What recipes learn from the same budget: configs x seeds on one data set, and rivals beside them, in one table.

Examples:
    python benchmarks/recipes.py plain plus --data stamps --output runs --seeds 2
    python benchmarks/recipes.py --data stamps --output screen --iters 600 --opts SOLVER.AMP.ENABLED True
    python benchmarks/recipes.py plain plus --data stamps --output runs --seeds 2 \
        --rival "Mask R-CNN=python rival_maskrcnn.py {data} {output} {iters} 64"

--data is a folder with train.json, train/, val.json and val/ in COCO's format; without it, the data sets of the
config. Runs that are in --output already are not done again, and one that was interrupted goes on. A rival is a
command that compares its detections by pycocotools; what it hands to it is kept, and compared as ours are. It is
run for each seed if it has a place for it, {seed}.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from learned import Learned
from recipe_runs import HERE, Run, config_of, do_run, our_run, read_recipes, rival_run
from recipe_speeds import image_times, step_times
from tqdm import tqdm

from solo.benchmark.tables import Report, write_json
from solo.errors import UserError, exit_on

RECIPES = HERE / "recipes.yaml"
PLAIN = "plain"
TIMED = (
    "AP of masks and of boundaries on held-out images in percent: mean over the seeds, and their range. step: of\n"
    "training in ms, from the files of a batch to the new weights. image: ms from a BGR image to masks of its size, one\n"
    "at a time. Both are medians over turns that the recipes take in one process. MB: peak of the process that trained."
)
HEADERS = (
    *("recipe", "seeds", "AP", "range", "boundary", "range", "AP50", "AP75", "small", "medium"),
    *("step", "x plain", "MB", "image", "x plain"),
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
    step_ms: float | None
    step_ratio: float | None
    peak_mb: float
    image_ms: float | None
    image_ratio: float | None


def main() -> None:
    """Train what is not trained yet, then print the table and write it to OUTPUT/recipes.json."""
    args = _parse()
    recipes = read_recipes(args.recipes, args.names)
    cfg = config_of(recipes[0][1], args.data, args.opts)
    runs = _runs(args, recipes, args.iters or cfg.SOLVER.MAX_ITER)
    failures = []
    with (bar := tqdm(runs, unit="run")):
        for run in bar:
            bar.set_postfix_str(f"{run.name}, seed {run.seed}")
            try:
                do_run(run, cfg.DATASETS.TEST[0])
            except UserError as error:
                failures.append(str(error))
    steps, images = ({}, {}) if args.no_speed else _times(runs, cfg.DATASETS.TEST[0])
    report = Report(HEADERS, rows_of(runs, steps, images), TIMED)
    print(report.table())
    write_json(report, args.output / "recipes.json")
    print(f"written: {args.output / 'recipes.json'}")
    if failures:
        raise UserError("; ".join(failures))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; default: all")
    parser.add_argument("--recipes", type=Path, default=RECIPES, help="default: recipes.yaml here")
    parser.add_argument("--data", default="", metavar="DIR")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="of the runs and the table"
    )
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many, from 1 on")
    parser.add_argument("--iters", type=int, default=0, help="default: as the config says")
    parser.add_argument("--rival", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--no-speed", action="store_true", help="leave out the times")
    parser.add_argument(
        "--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help="for all of ours"
    )
    return parser.parse_args()


def _runs(
    args: argparse.Namespace, recipes: Sequence[tuple[str, Mapping[str, object]]], iters: int
) -> list[Run]:
    """Return the runs of all recipes and rivals."""
    seeds = range(1, args.seeds + 1)
    runs = [
        our_run(
            name,
            keys,
            seed,
            output=args.output,
            data=args.data,
            iters=args.iters,
            opts=args.opts,
        )
        for name, keys in recipes
        for seed in seeds
    ]
    for rival in args.rival:
        # Run again, a rival that knows no seed would give the same numbers, and no range.
        for seed in seeds if "{seed}" in rival else seeds[:1]:
            runs.append(rival_run(rival, seed, output=args.output, data=args.data, iters=iters))
    return runs


def _times(runs: Sequence[Run], dataset: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the ms of a step and of an image, of each recipe of ours that was trained."""
    folders: dict[str, Path] = {}
    for run in runs:
        if not run.is_rival and run.learned():
            folders.setdefault(run.name, run.folder)
    times = step_times([*folders.values()]), image_times([*folders.values()], dataset)
    steps, images = (dict(zip(folders, part, strict=True)) for part in times)
    return steps, images


def rows_of(
    runs: Sequence[Run], steps: Mapping[str, float], images: Mapping[str, float]
) -> list[Row]:
    """Return a row for each recipe of which something was learnt.

    Args:
        runs: Of all recipes and seeds.
        steps: Milliseconds of a step, by recipe.
        images: Milliseconds of an image, by recipe.
    """
    by_name: dict[str, list[Learned]] = {}
    for run in runs:
        if learned := run.learned():
            by_name.setdefault(run.name, []).append(learned)
    return [
        _row(name, found)._replace(
            step_ms=_rounded(steps.get(name)),
            step_ratio=_ratio(steps, name),
            image_ms=_rounded(images.get(name)),
            image_ratio=_ratio(images, name),
        )
        for name, found in by_name.items()
    ]


def _row(name: str, learned: Sequence[Learned]) -> Row:
    def over_seeds(values: Iterable[float]) -> float:
        return round(mean(values), 2)

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
        step_ms=None,
        step_ratio=None,
        peak_mb=round(max(item.peak_mb for item in learned)),
        image_ms=None,
        image_ratio=None,
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _ratio(times: Mapping[str, float], name: str) -> float | None:
    """Return how many times as long as with the plain recipe, where both were measured."""
    return round(times[name] / times[PLAIN], 2) if name in times and PLAIN in times else None


if __name__ == "__main__":
    with exit_on():
        main()
