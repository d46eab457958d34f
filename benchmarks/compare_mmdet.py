"""Ours beside mmdetection 3.3.0: the same weights and inputs, turn by turn, on the CPU.

Examples:
    python benchmarks/compare_mmdet.py --json docs/performance.json
    python benchmarks/compare_mmdet.py --only post,infer-500 --repeats 9 --json docs/performance.json
    python benchmarks/compare_mmdet.py --only train-solo MODEL.SOLO.RECOMPUTE cheap
    python benchmarks/compare_mmdet.py --only infer-500 --mmdet-amp TEST.AMP.ENABLED True
    python benchmarks/compare_mmdet.py --json docs/performance.json --plot docs/images/performance.png
    python benchmarks/compare_mmdet.py --only infer-500 --stages
    python benchmarks/compare_mmdet.py --quick

Before a case is timed, the results of both sides are compared; if they differ, it stops. Memory is
the peak of the resident memory in a process per side: of a second run above the model and the inputs, but
for training of the first step above what was there before the model. Rows that --json finds in its file stay, unless they
were measured anew; --plot draws them, and measures nothing.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

if importlib.util.find_spec("mmdet") is None:
    raise SystemExit("error: mmdetection is not installed: pip install -e .[parity]")

from drawings import plot_comparison
from mmdet_cases import cases
from mmdet_instances import Infer
from mmdet_sides import Case
from turns import Comparison, compare, take_turns

from solo.benchmark import timing
from solo.benchmark.memory import peak_memory
from solo.benchmark.tables import Report, commit, provenance
from solo.errors import UserError, exit_on, told_as
from solo.files import write_text

TIMED = (
    "Medians over the turns. speedup: mmdet's time to ours, of the medians, then of the single turns from\n"
    "the lowest to the highest. memory: ours to mmdet's peak. targets: cells, classes and small masks.\n"
    "targets_losses: these, the losses and the gradients of the outputs of the head. post: outputs of the\n"
    "head to run lengths and boxes of the original size, mmdet's encoded as its evaluator does. infer: the\n"
    "same from the image. train: forward, backward, clipping and SGD."
)
HEADERS = (
    "case",
    "ours, ms",
    "mmdet, ms",
    "speedup",
    "lowest",
    "highest",
    "ours, MB",
    "mmdet, MB",
    "memory",
    "equal",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    with exit_on():
        if args.stages and (args.json or args.plot):
            raise UserError("--stages only prints: leave out --json and --plot.")
        if min(args.repeats, args.threads) < 1:
            raise UserError("--repeats and --threads must be 1 or more.")
        torch.set_num_threads(args.threads)
        if args.plot:
            plot_comparison(read_rows(args.json), args.plot)
            return
        commit()  # of now, before --json changes a file of the sources
        chosen = _choose(args)
        if args.side:
            print(json.dumps(peak_of(chosen[0], args.side)))
            return
        if args.stages:
            for case in chosen:
                print_stages(case, args.repeats)
            return
        rows = []
        for case in tqdm(chosen, desc="cases"):
            rows.append(run(case, args))
            if args.json:
                merge_json(rows[-1], args.json)
    print(Report(HEADERS, rows, TIMED).table())


def run(case: Case, args: argparse.Namespace) -> Comparison:
    """Compare the results of both sides, then their time, then their memory.

    Raises:
        ValueError: If the results differ.
    """
    theirs, ours = case.theirs(), case.ours()
    note = case.check(ours(), theirs())
    seconds = take_turns(ours, theirs, repeats=args.repeats)
    row = compare(_label(case.name, args), *seconds, note)
    if args.no_memory:
        return row
    return row.with_memory(
        *(_peak_in_process(case.name, side, args) for side in ("ours", "theirs"))
    )


def print_stages(case: Case, repeats: int) -> None:
    """Print where the time of both sides of a case goes."""
    for side in ("theirs", "ours"):
        function = getattr(case, side)()
        rows = timing.measure(function, device=torch.device("cpu"), repeats=repeats)
        print(Report(timing.HEADERS, rows, f"{case.name}, {side}.").table(), flush=True)


def peak_of(case: Case, side: str) -> float | None:
    """Return the peak of the memory of one side in MB, in a process of its own."""

    def build_and_run() -> None:
        getattr(case, side)()()

    cpu = torch.device("cpu")
    if case.counts_model:
        return peak_memory(build_and_run, cpu)
    function = getattr(case, side)()
    # What a first run sets up, and later ones find, counts on neither side.
    function()
    return peak_memory(function, cpu)


def read_rows(path: Path | None) -> list[dict[str, Any]]:
    """Return the rows of a file of --json; none where there is no file.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no file of --json.
    """
    if not path or not path.exists():
        return []
    with told_as(f"{path} is no file of --json"):
        return json.loads(path.read_text())["rows"]


def merge_json(row: Comparison, path: Path) -> None:
    """Put a row into a file in place of an older one of that name; each says where it comes from.

    Raises:
        OSError: If the file cannot be read or written.
        UserError: If it is no file of --json.
    """
    rows = read_rows(path)
    new = {**row._asdict(), **provenance()}
    names = [old["name"] for old in rows]
    if row.name in names:
        rows[names.index(row.name)] = new
    else:
        rows.append(new)
    write_text(json.dumps({"timed": TIMED, "rows": rows}, indent=1), path)


def _peak_in_process(name: str, side: str, args: argparse.Namespace) -> float | None:
    command = [sys.executable, __file__, "--only", name, "--side", side]
    command += ["--threads", str(args.threads), *(["--quick"] if args.quick else [])]
    command += [*(["--mmdet-amp"] if args.mmdet_amp else []), *args.opts]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise UserError(f"{name}, memory of {side}: {reason[0]}.")
    return json.loads(done.stdout.splitlines()[-1])


def _label(name: str, args: argparse.Namespace) -> str:
    return " ".join([name, *(["--mmdet-amp"] if args.mmdet_amp else []), *args.opts])


def _choose(args: argparse.Namespace) -> list[Case]:
    """Return the cases that --only names.

    Raises:
        UserError: If it names none.
    """
    every = cases(args.quick, args.opts, mmdet_amp=args.mmdet_amp)
    if args.stages:
        every = [case for case in every if isinstance(case, Infer)]
    names = {case.name for case in every}

    def is_wanted(name: str) -> bool:
        # A whole name may be the beginning of another, too.
        return any(
            name == only if only in names else name.startswith(only)
            for only in args.only.split(",")
        )

    chosen = [case for case in every if is_wanted(case.name)]
    if not chosen:
        known = ", ".join(case.name for case in every)
        raise UserError(f"--only {args.only}: choose from {known}, or from their beginnings.")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="A,B",
        help="cases, or beginnings of their names; default: all",
    )
    parser.add_argument("--repeats", type=int, default=5, help="turns; default: %(default)s")
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write, or add to, this file")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rows of --json: a .png")
    parser.add_argument("--no-memory", action="store_true", help="measure time only")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: see that it works")
    parser.add_argument("--stages", action="store_true", help="print where the time of infer goes")
    parser.add_argument(
        "--mmdet-amp",
        action="store_true",
        help="run mmdet's infer and train in mixed precision, in bfloat16; ours by TEST.AMP, SOLVER.AMP",
    )
    parser.add_argument("--side", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys of our side")
    return parser


if __name__ == "__main__":
    main()
