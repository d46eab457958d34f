r"""Measure time and memory of training, inference and evaluation, stage by stage; and what suits this CPU.

example: python -m solo.tools.benchmark infer \
    --config-file coco/solov2_R_50_FPN_1x.yaml --candidates 500
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode

from solo.benchmark import cpu_choices, data, evaluation, infer, post, sweep, timing, train
from solo.benchmark.limit import describe_limit
from solo.benchmark.models import Workload
from solo.benchmark.tables import Report, write_json
from solo.config.load import inference_config, load_config
from solo.errors import UserError, exit_on
from solo.model_zoo import get_config_file
from solo.tools._command import add_config, add_opts, build_parser, read_size
from solo.visualization.performance import plot_sweep

# For the examples of the verbs.
_MODEL = "--config-file coco/solov2_R_50_FPN_1x.yaml"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    args = _parser().parse_args(argv)
    threads = torch.get_num_threads()
    try:
        with exit_on():
            if args.threads < 1:
                raise UserError(f"--threads {args.threads}: give 1 or more.")
            torch.set_num_threads(args.threads)
            report = args.run(args)
            if args.json:
                write_json(report, args.json)
    finally:
        torch.set_num_threads(threads)
    print(report.table())


def _run_model(args: argparse.Namespace) -> Report:
    """Measure a verb that runs a model."""
    cfg, workload = _config(args), _workload(args)
    settings = {"repeats": args.repeats, "progress": True}
    if getattr(args, "dataset", ""):
        settings["dataset"] = args.dataset
        settings["repeats"] = args.num_images or args.repeats
    if not args.sweep:
        rows = args.benchmark(cfg, workload, **settings)
        mixed = cfg.TEST.AMP.ENABLED or cfg.SOLVER.AMP.ENABLED
        limit = describe_limit(torch.device(cfg.MODEL.DEVICE), mixed=mixed)
        return Report(timing.HEADERS, rows, f"{args.timed}\n{limit}")

    def measure(point: Workload) -> object:
        return args.benchmark(cfg, point, **settings)[-1]

    rows = sweep.sweep(measure, workload, args.sweep)
    if args.plot:
        plot_sweep([row._asdict() for row in rows], args.plot)
    return Report((args.sweep, "value", *timing.HEADERS[1:-1]), rows, args.timed)


def _run_evaluation(args: argparse.Namespace) -> Report:
    rows, note = evaluation.benchmark_evaluation(
        args.images, args.detections, budget_s=args.budget, progress=True
    )
    return Report(evaluation.HEADERS, rows, f"{evaluation.TIMED} {note}".rstrip())


def _run_data(args: argparse.Namespace) -> Report:
    cfg = load_config("", args.opts, device="cpu", needs_classes=False)
    rows = data.benchmark_data(
        cfg, size=args.size, images=args.images, repeats=args.repeats, progress=True
    )
    return Report(data.HEADERS, rows, data.TIMED)


def _run_cpu(args: argparse.Namespace) -> Report:
    cfg = load_config("", args.opts, device="cpu", needs_classes=False)
    rows = cpu_choices.benchmark_cpu(cfg, repeats=args.repeats, progress=True)
    return Report(cpu_choices.HEADERS, rows, cpu_choices.describe_cpu())


def _config(args: argparse.Namespace) -> CfgNode:
    """Return the config of a file, or of a name in the model zoo."""
    path = args.config_file
    if not Path(path).is_file():
        path = get_config_file(path)
    return inference_config(path, args.weights, args.device, args.opts)


def _workload(args: argparse.Namespace) -> Workload:
    given = {name: getattr(args, name, None) for name in Workload._fields}
    workload = Workload()._replace(**{k: value for k, value in given.items() if value is not None})
    if args.weights and given["candidates"] is None:
        return workload._replace(candidates=None)
    return workload


def _parser() -> argparse.ArgumentParser:
    parser = build_parser("benchmark", __doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    verb = _add_model_verb(
        verbs,
        "infer",
        "inference, from the image to run lengths",
        "--original 1024x2048 --size 672x1344",
        sweeps=("candidates", "size"),
    )
    verb.set_defaults(benchmark=infer.benchmark_inference, timed=infer.TIMED)
    _add_candidates(verb)
    _add_dataset(verb)

    verb = _add_model_verb(
        verbs,
        "post",
        "what follows the network, to run lengths",
        "--sweep candidates --plot post.png",
        sweeps=("candidates", "size"),
    )
    verb.set_defaults(benchmark=post.benchmark_post, timed=post.TIMED)
    _add_candidates(verb)

    verb = _add_model_verb(
        verbs, "train", "a step of training", "--images 2 --objects 80", sweeps=("objects", "size")
    )
    verb.set_defaults(benchmark=train.benchmark_training, timed=train.TIMED)
    verb.add_argument("--images", type=int, help="of the batch; default: 1")
    verb.add_argument("--objects", type=int, help="of each image; default: 20")
    _add_dataset(verb)

    _add_cpu(verbs)
    _add_data(verbs)
    _add_evaluation(verbs)
    return parser


def _add_cpu(verbs: argparse._SubParsersAction) -> None:
    verb = _add_verb(
        verbs,
        "cpu",
        "what this CPU has, what was chosen for it, and what that gains",
        "MODEL.CPU.INTERSECTIONS bits",
    )
    verb.set_defaults(run=_run_cpu)
    verb.add_argument("--repeats", type=int, default=7, help="default: %(default)s")
    add_opts(verb)


def _add_data(verbs: argparse._SubParsersAction) -> None:
    verb = _add_verb(
        verbs,
        "data",
        "the making of training items, beside detectron2's mapper",
        "--size 640 INPUT.MOSAIC.PROB 1.0",
    )
    verb.set_defaults(run=_run_data)
    verb.add_argument("--size", type=int, default=640, help="pixels a side; default: %(default)s")
    verb.add_argument("--images", type=int, default=32, help="per repeat; default: %(default)s")
    verb.add_argument("--repeats", type=int, default=15, help="default: %(default)s")
    add_opts(verb)


def _add_evaluation(verbs: argparse._SubParsersAction) -> None:
    verb = _add_verb(
        verbs,
        "eval",
        "COCO's evaluation of made-up results, beside pycocotools",
        "--images 500 --detections 100",
    )
    verb.set_defaults(run=_run_evaluation)
    verb.add_argument("--images", type=int, default=5000, help="default: %(default)s")
    verb.add_argument("--detections", type=int, default=100, help="per image; default: 100")
    verb.add_argument(
        "--budget", type=float, default=600, metavar="S", help="seconds; default: %(default)s"
    )


def _add_verb(
    verbs: argparse._SubParsersAction, name: str, what: str, example: str
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(
        name,
        help=what,
        description=f"Measure {what}.",
        epilog=f"example: python -m solo.tools.benchmark {name} \\\n    {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    threads = torch.get_num_threads()
    verb.add_argument("--threads", type=int, default=threads, help="default: %(default)s")
    verb.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    return verb


def _add_model_verb(
    verbs: argparse._SubParsersAction, name: str, what: str, example: str, *, sweeps: Sequence[str]
) -> argparse.ArgumentParser:
    """Add a verb that runs a model, with all that these share."""
    verb = _add_verb(verbs, name, what, f"{_MODEL} {example}")
    verb.set_defaults(run=_run_model)
    add_config(verb, "a file, or a name in the model zoo")
    verb.add_argument("--weights", default="", metavar="FILE", help="default: random ones")
    verb.add_argument("--device", default="", help="default: cuda if there is one, else cpu")
    verb.add_argument(
        "--size", type=read_size, metavar="HxW", help="of the input; default: 800x1088"
    )
    verb.add_argument("--repeats", type=int, default=10, help="default: %(default)s")
    verb.add_argument("--sweep", choices=sweeps, help="measure the whole at several values of it")
    verb.add_argument("--plot", type=Path, metavar="FILE", help="draw the sweep: a .png")
    return verb


def _add_candidates(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--original", type=read_size, metavar="HxW", help="image; default: 480x640")
    verb.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help="exactly so many are made up, SOLOv2's with compact masks; default: 100, and with "
        "--weights as many as these find",
    )
    verb.add_argument("--filling", action="store_true", help="their masks fill the image")


def _add_dataset(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--dataset", default="", metavar="NAME", help="registered; default: noise")
    verb.add_argument("--num-images", type=int, metavar="N", help="of it, instead of --repeats")


if __name__ == "__main__":
    main()
