"""Try files with random faults: each has to end well, or in one sentence that names the file.

A case is a function of the seed and its number. Each runs in a process of its own, with limits of memory
and time. What fails is grouped by the line that it comes from. The exit status is 1 if anything failed.

Examples:
    python dev/fuzz.py --jobs 2
    python dev/fuzz.py --kind documents images --cases 500 --seed 3 --keep failures
    python dev/fuzz.py --kind documents --seed 3 --only 17 --keep failures
"""

import argparse
import gc
import os
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import torch
from fuzzing.checkpoints import Checkpoints
from fuzzing.documents import Documents
from fuzzing.images import Images
from fuzzing.kind import Kind
from fuzzing.outcomes import Outcome, Verdict
from fuzzing.processes import Limits, run_cases
from fuzzing.videos import Videos
from fuzzing.yamls import Yamls
from tqdm import tqdm

KINDS: dict[str, type[Kind]] = {
    kind.name: kind for kind in (Documents, Images, Checkpoints, Yamls, Videos)
}
# Of what a user would read, as much as fits on a line or two.
_SHOWN = 300


def main() -> int:
    """Run the cases that the arguments ask for; return the exit status."""
    args = _parse()
    # What would start threads, which a forked process lacks.
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    gc.freeze()
    found = {name: _try_kind(name, args) for name in args.kind}
    if args.only is not None:
        for outcomes in found.values():
            print(_report(outcomes[args.only]))
    print(_table(found, args.seed))
    failed = [
        case for cases in found.values() for case in cases.values() if case.verdict.is_failure
    ]
    return 1 if failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS), help="of files")
    counts = ", ".join(f"{kind.cases} {name}" for name, kind in KINDS.items())
    parser.add_argument("--cases", type=int, help=f"so many of each kind (default: {counts})")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--only", type=int, metavar="INDEX", help="one case, with its traceback")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="copy the files of what fails here"
    )
    jobs = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=jobs, help="processes (default: one a core)")
    return parser.parse_args()


def _try_kind(name: str, args: argparse.Namespace) -> dict[int, Outcome]:
    """Return what became of each case of a kind."""
    count = KINDS[name].cases if args.cases is None else args.cases
    indices = range(count) if args.only is None else [args.only]
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as text:
        folder = Path(text)
        kind = KINDS[name](folder)

        def run(index: int) -> Outcome:
            return kind.run_case(args.seed, index, folder / f"case-{index}")

        cases = run_cases(run, indices, jobs=args.jobs, limits=Limits())
        for index, outcome in tqdm(cases, total=len(indices), desc=name, unit="case"):
            outcomes[index] = outcome if args.only is not None else outcome._replace(trace="")
            inputs = folder / f"case-{index}"
            if args.keep and (outcome.verdict.is_failure or args.only is not None):
                kept = args.keep / f"{name}-{args.seed}-{index}"
                shutil.copytree(inputs, kept, dirs_exist_ok=True)
            shutil.rmtree(inputs, ignore_errors=True)
    return outcomes


def _table(found: dict[str, dict[int, Outcome]], seed: int) -> str:
    """Return how many cases ended how, and the failures by the line that they come from."""
    lines = [f"{'':12}" + "".join(f"{verdict.value:>17}" for verdict in Verdict)]
    for name, cases in found.items():
        counts = Counter(case.verdict for case in cases.values())
        lines.append(f"{name:12}" + "".join(f"{counts[verdict]:>17,}" for verdict in Verdict))
    for name, cases in found.items():
        groups = defaultdict(list)
        for index, case in sorted(cases.items()):
            if case.verdict.is_failure:
                groups[case.verdict, case.what, case.where].append(index)
        for group, indices in sorted(groups.items(), key=lambda item: -len(item[1])):
            verdict, what, where = group
            lines.append(f"\n{len(indices):,} {name}: {verdict.value}: {what} at {where or '?'}")
            lines.append(f"  {cases[indices[0]].text[:_SHOWN]!r}")
            shown = ", ".join(map(str, indices[:5]))
            lines.append(f"  python dev/fuzz.py --kind {name} --seed {seed} --only {shown}")
    return "\n".join(lines)


def _report(outcome: Outcome) -> str:
    verdict = " ".join(filter(None, (outcome.verdict.value, outcome.what, outcome.where)))
    return "\n".join(filter(None, (outcome.trace, f"{verdict}: {outcome.text}", "")))


if __name__ == "__main__":
    sys.exit(main())
