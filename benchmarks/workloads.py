r"""Measure stages with exactly as many candidates as are asked for, and how time and memory grow.

Examples:
    python benchmarks/workloads.py infer --config-file coco/solov2_R_50_FPN_1x.yaml --candidates 500
    python benchmarks/workloads.py post --config-file coco/solov2_R_50_FPN_1x.yaml --sweep candidates
    python benchmarks/workloads.py train --config-file coco/solov2_R_50_FPN_1x.yaml --sweep objects --plot train.png

The candidates are made up, SOLOv2's with compact masks: random weights find none.
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from detectron2.config import CfgNode
from drawings import plot_sweep
from made_up import Workload, made_up_candidates, run_network

from solo.benchmark import infer, timing, train
from solo.benchmark.models import check_positive, load_for_inference, with_rle
from solo.benchmark.tables import Report
from solo.cli.benchmark import _shared as benchmark
from solo.structures.image_size import ImageSize

TIMED_POST = (
    "Timed: from the outputs of the head for one image to COCO's run lengths and boxes at the original\n"
    "size; NMS has the overlaps of the masks, resize the boxes. Memory: the peak of the first run above\n"
    "the model and these outputs."
)
# Ascending: what a large one leaves behind must not help a small one.
VALUES: dict[str, tuple[Any, ...]] = {
    "candidates": (10, 30, 100, 200, 500),
    "objects": (5, 10, 20, 40, 80),
    "size": ((256, 352), (448, 608), (640, 864), (800, 1088), (800, 1344)),
}


class SweepRow(NamedTuple):
    """What takes how long at one value.

    Attributes:
        parameter: A field of `Workload`.
        value: Its value; of sizes the pixels.
        median_ms: Median over the repeats.
        p90_ms: 90th percentile over the repeats.
        peak_mb: See `Row`.
    """

    parameter: str
    value: int
    median_ms: float
    p90_ms: float
    peak_mb: float | None


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    benchmark.print_report(_parser(), argv)


def benchmark_inference(cfg: CfgNode, workload: Workload, **settings: Any) -> list[timing.Row]:
    """Measure inference with candidates that are made up; see `solo.benchmark.infer`."""
    cfg = with_rle(cfg)
    model = load_for_inference(cfg)
    frames = {"size": workload.size, "original": workload.original}
    with made_up_candidates(model, workload):
        return infer.benchmark_inference(model, cfg, **frames, **settings)


def benchmark_post(
    cfg: CfgNode, workload: Workload, *, repeats: int = 10, progress: bool = False
) -> list[timing.Row]:
    """Measure what follows the network, stage by stage.

    Args:
        cfg: MODEL.WEIGHTS may be empty; masks are encoded whatever MASK_FORMAT says.
        workload: What the image is like, and how many candidates it has.
        repeats: How often.
        progress: Whether to show a bar.

    Raises:
        OSError: If the weights cannot be read.
        UserError: If something cannot be built or measured.
    """
    check_positive(size=workload.size, original=workload.original)
    model = load_for_inference(with_rle(cfg))
    with torch.no_grad():
        padded, outputs = run_network(model, workload)
        size = ImageSize(padded, workload.size, workload.original)
        return timing.measure(
            lambda given: model.find(given, [size]),
            # A head may keep with its outputs what it has decoded.
            prepare=lambda: copy.deepcopy(outputs),
            device=model.device,
            repeats=repeats,
            progress=progress,
        )


def benchmark_training(cfg: CfgNode, workload: Workload, **settings: Any) -> list[timing.Row]:
    """Measure a step of training; see `solo.benchmark.train`."""
    batch = {name: getattr(workload, name) for name in ("size", "images", "objects")}
    return train.benchmark_training(cfg, **batch, **settings)


def sweep(
    measure: Callable[[Workload], timing.Row], workload: Workload, parameter: str
) -> list[SweepRow]:
    """Measure the whole at several values of a parameter.

    Args:
        measure: Measures a workload.
        workload: Says the rest.
        parameter: A key of VALUES.
    """
    rows = []
    for value in VALUES[parameter]:
        row = measure(workload._replace(**{parameter: value}))
        number = value[0] * value[1] if parameter == "size" else value
        rows.append(SweepRow(parameter, number, row.median_ms, row.p90_ms, row.peak_mb))
    return rows


def _run(args: argparse.Namespace) -> Report:
    cfg, given = benchmark.read_config(args), vars(args)
    workload = Workload(**{name: given[name] for name in Workload._fields if name in given})
    if workload.candidates is None and not args.weights:
        workload = workload._replace(candidates=Workload().candidates)
    settings = {"repeats": args.repeats, "progress": True}
    if given.get("dataset"):
        settings = {**settings, "dataset": args.dataset, "repeats": benchmark.count_repeats(args)}
    measure = partial(args.benchmark, cfg, **settings)
    if not args.sweep:
        return benchmark.report_stages(cfg, measure(workload), args.timed)
    rows = sweep(lambda point: measure(point)[-1], workload, args.sweep)
    if args.plot:
        plot_sweep([row._asdict() for row in rows], args.plot)
    return Report((args.sweep, "value", *timing.HEADERS[1:-1]), rows, args.timed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = partial(_add_verb, parser.add_subparsers(metavar="VERB", required=True).add_parser)

    sweeps = ("candidates", "size")
    verb = add("infer", "inference, from the image to run lengths", "--candidates 500", sweeps)
    verb.set_defaults(benchmark=benchmark_inference, timed=infer.TIMED)
    _add_candidates(verb)
    benchmark.add_dataset(verb)

    verb = add("post", "what follows the network, to run lengths", "--sweep candidates", sweeps)
    verb.set_defaults(benchmark=benchmark_post, timed=TIMED_POST)
    _add_candidates(verb)

    verb = add("train", "a step of training", "--sweep objects", ("objects", "size"))
    verb.set_defaults(benchmark=benchmark_training, timed=train.TIMED)
    benchmark.add_batch(verb)
    benchmark.add_dataset(verb)
    return parser


def _add_verb(
    add: Callable[..., argparse.ArgumentParser],
    name: str,
    what: str,
    example: str,
    sweeps: Sequence[str],
) -> argparse.ArgumentParser:
    command = f"python benchmarks/workloads.py {name}"
    verb = benchmark.add_verb(add, command, what, f"{benchmark.MODEL} {example}")
    verb.set_defaults(run=_run)
    benchmark.add_model(verb)
    verb.add_argument("--sweep", choices=sweeps, help="measure the whole at several values of it")
    verb.add_argument("--plot", type=Path, metavar="FILE", help="draw the sweep: a .png")
    return verb


def _add_candidates(verb: argparse.ArgumentParser) -> None:
    benchmark.add_original(verb)
    verb.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help="exactly so many; default: 100, and with --weights as many as these find",
    )
    verb.add_argument("--filling", action="store_true", help="their masks fill the image")


if __name__ == "__main__":
    main()
