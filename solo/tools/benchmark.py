r"""Measure time and memory of inference and of a training step, stage by stage; and what suits this CPU.

example: python -m solo.tools.benchmark infer \
    --config-file coco/solov2_R_50_FPN_1x.yaml --weights model_final.pth --dataset coco_2017_val
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode

from solo.benchmark import cpu_choices, infer, timing, train
from solo.benchmark.limit import describe_limit
from solo.benchmark.models import INPUT, ORIGINAL, load_for_inference, with_rle
from solo.benchmark.tables import Report, write_json
from solo.config.load import inference_config, load_config
from solo.errors import UserError, exit_on
from solo.model_zoo import get_config_file
from solo.tools._command import add_config, add_opts, add_weights, build_parser, read_size

_PROGRAM = "python -m solo.tools.benchmark"
# For the examples of the verbs.
MODEL = "--config-file coco/solov2_R_50_FPN_1x.yaml"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    print_report(_parser(), argv)


def print_report(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> None:
    """Measure what the arguments ask for, by the parser's `run`; print it, and write --json.

    Args:
        parser: With :func:`add_output`; its `run` turns the arguments into a Report.
        argv: The arguments; None: those of the process.
    """
    args = parser.parse_args(argv)
    threads = torch.get_num_threads()
    try:
        with exit_on():
            if args.threads < 1:
                raise UserError(f"--threads {args.threads}: give 1 or more.")
            torch.set_num_threads(args.threads)
            report: Report = args.run(args)
            if args.json:
                write_json(report, args.json)
    finally:
        torch.set_num_threads(threads)
    print(report.table())


def add_verb(
    add: Callable[..., argparse.ArgumentParser], command: str, what: str, example: str
) -> argparse.ArgumentParser:
    """Add a verb.

    Args:
        add: `add_parser` of the verbs of a parser.
        command: The program and, last, the verb.
        what: That is measured.
        example: Arguments.
    """
    return add(
        command.split()[-1],
        help=what,
        description=f"Measure {what}.",
        epilog=f"example: {command} \\\n    {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add --threads and --json."""
    threads = torch.get_num_threads()
    parser.add_argument("--threads", type=int, default=threads, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a model and its input, and how often it is run."""
    add_output(parser)
    add_config(parser, "a file, or a name in the model zoo")
    add_weights(parser, "default: random ones, which find nothing")
    _add_size(parser, "--size", INPUT, "of the input")
    parser.add_argument("--repeats", type=int, default=10, help="default: %(default)s")


def add_original(parser: argparse.ArgumentParser) -> None:
    """Add --original, the size of the image."""
    _add_size(parser, "--original", ORIGINAL, "image")


def add_batch(parser: argparse.ArgumentParser) -> None:
    """Add what a batch of training is like."""
    parser.add_argument("--images", type=int, default=1, help="of the batch; default: 1")
    parser.add_argument("--objects", type=int, default=20, help="of each image; default: 20")


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add --dataset, whose images are taken instead of noise, and how many of them."""
    parser.add_argument("--dataset", default="", metavar="NAME", help="registered; default: noise")
    parser.add_argument("--num-images", type=int, metavar="N", help="of it, instead of --repeats")


def count_repeats(args: argparse.Namespace) -> int:
    """Return how many runs count; see :func:`add_dataset`."""
    count: int = args.repeats
    return args.num_images or count if args.dataset else count


def read_config(args: argparse.Namespace) -> CfgNode:
    """Return the config of a file, or of a name in the model zoo; see :func:`add_model`."""
    path = args.config_file
    if not Path(path).is_file():
        path = get_config_file(path)
    return inference_config(path, args.weights, args.device, args.opts)


def report_stages(cfg: CfgNode, rows: Sequence[timing.Row], timed: str) -> Report:
    """Return the stages of a model, and what the machine could do at most."""
    mixed = cfg.TEST.AMP.ENABLED or cfg.SOLVER.AMP.ENABLED
    limit = describe_limit(torch.device(cfg.MODEL.DEVICE), mixed=mixed)
    return Report(timing.HEADERS, rows, f"{timed}\n{limit}")


def _run_inference(args: argparse.Namespace) -> Report:
    cfg = with_rle(read_config(args))
    rows = infer.benchmark_inference(
        load_for_inference(cfg),
        cfg,
        size=args.size,
        original=args.original,
        repeats=count_repeats(args),
        dataset=args.dataset,
        progress=True,
    )
    return report_stages(cfg, rows, infer.TIMED)


def _run_training(args: argparse.Namespace) -> Report:
    cfg = read_config(args)
    rows = train.benchmark_training(
        cfg,
        size=args.size,
        images=args.images,
        objects=args.objects,
        repeats=count_repeats(args),
        dataset=args.dataset,
        progress=True,
    )
    return report_stages(cfg, rows, train.TIMED)


def _run_cpu(args: argparse.Namespace) -> Report:
    cfg = load_config("", args.opts, device="cpu", needs_classes=False)
    rows = cpu_choices.benchmark_cpu(cfg, repeats=args.repeats, progress=True)
    return Report(cpu_choices.HEADERS, rows, cpu_choices.describe_cpu())


def _parser() -> argparse.ArgumentParser:
    parser = build_parser("benchmark", __doc__)
    add = parser.add_subparsers(metavar="VERB", required=True).add_parser
    dataset = f"{MODEL} --weights model_final.pth --dataset coco_2017_val"
    verb = add_verb(add, f"{_PROGRAM} infer", "inference, from the image to run lengths", dataset)
    verb.set_defaults(run=_run_inference)
    add_model(verb)
    add_original(verb)
    add_dataset(verb)

    batch = f"{MODEL} --images 2 --objects 80"
    verb = add_verb(add, f"{_PROGRAM} train", "a step of training", batch)
    verb.set_defaults(run=_run_training)
    add_model(verb)
    add_batch(verb)
    add_dataset(verb)

    what = "what this CPU has, what was chosen for it, and what that gains"
    verb = add_verb(add, f"{_PROGRAM} cpu", what, "MODEL.CPU.INTERSECTIONS bits")
    verb.set_defaults(run=_run_cpu)
    add_output(verb)
    verb.add_argument("--repeats", type=int, default=7, help="default: %(default)s")
    add_opts(verb)
    return parser


def _add_size(
    parser: argparse.ArgumentParser, name: str, default: tuple[int, int], what: str
) -> None:
    text = f"{what}; default: {default[0]}x{default[1]}"
    parser.add_argument(name, type=read_size, default=default, metavar="HxW", help=text)


if __name__ == "__main__":
    main()
