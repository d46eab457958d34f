"""Train a model: of a config, or on data of yours without one.

With --data it reads the data in whatever format they are, chooses what training needs from them and says why; the
config that it writes, OUTPUT/plan.yaml, can be edited and trained by --config.

example: solo train --data cats/ --epochs 50
"""

import argparse
from typing import TYPE_CHECKING

from solo.cli._parser import Parser, add_config_name, add_device, add_options, add_verbose
from solo.errors import UserError

if TYPE_CHECKING:
    from solo.survey.plan import Plan

# Flags that say more of --data.
_OF_DATA = ("images", "val_annotations", "val_images", "model", "epochs")


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_config_name(parser, "what to train")
    parser.add_argument(
        "--weights",
        default="",
        metavar="FILE",
        help="checkpoint to start from, in place of MODEL.WEIGHTS; of other classes, too",
    )
    parser.add_argument(
        "--output", default="", metavar="DIR", help="folder of the run, in place of OUTPUT_DIR"
    )
    add_device(parser)
    _add_data(parser.add_argument_group("data of yours, in place of --config"))
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with the run that the folder holds"
    )
    again.add_argument(
        "--overwrite",
        action="store_true",
        help="begin anew where the folder holds a run, which is kept in its folder previous/",
    )
    add_verbose(parser)
    _add_processes(parser.add_argument_group("several processes"))
    add_options(parser)


def run(args: argparse.Namespace) -> None:
    """Train."""
    from solo.training.start import start

    has_data = bool(args.data or args.annotations)
    if has_data == bool(args.config_file):
        raise UserError("Name what to train: --data PATH for data of yours, or --config NAME.")
    if not has_data and args.epochs:
        raise UserError(
            f"--epochs goes with --data: with --config set SOLVER.EPOCHS {args.epochs:g} at the end."
        )
    if not has_data and any(getattr(args, name) for name in _OF_DATA):
        raise UserError(f"{', '.join(map(_flag, _OF_DATA))} go with --data, not with --config.")
    if has_data:  # the plan holds what the flags say
        plan = _plan(args)
        args.config_file = str(plan.file)
        args.weights = args.output = args.device = ""
        if plan.is_new:
            args.opts = []
    given = {"MODEL.WEIGHTS": args.weights, "OUTPUT_DIR": args.output, "MODEL.DEVICE": args.device}
    opts = [word for pair in given.items() if pair[1] for word in pair]
    args.opts, args.eval_only = [*opts, *args.opts], False
    start(args)


def _plan(args: argparse.Namespace) -> "Plan":
    """Choose a config for the data, and tell why."""
    from solo.survey.plan import plan_for
    from solo.training.launch import under_torchrun

    if args.num_machines > 1:
        raise UserError("--data is for one machine: train its plan.yaml by --config on several.")
    if under_torchrun():
        raise UserError(
            "--data is for one process, which may start others by --num-gpus: under torchrun train its plan.yaml "
            "by --config."
        )
    flags = (*_OF_DATA, "data", "annotations", "weights", "output", "device", "overwrite", "resume")
    named = {name: getattr(args, name) for name in flags}
    plan = plan_for(**named, gpus=args.num_gpus, options=args.opts)
    written = [f"written: {plan.file}"] * plan.is_new
    print("\n".join([*plan.reasons, *written]), flush=True)
    return plan


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _add_data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data", default="", metavar="PATH", help="a data set in whatever format: folder or file"
    )
    group.add_argument(
        "--annotations", default="", metavar="PATH", help="in place of --data, with --images DIR"
    )
    group.add_argument("--images", default="", metavar="DIR", help="where the images are")
    group.add_argument(
        "--val-annotations",
        default="",
        metavar="PATH",
        help="what to evaluate on, with --val-images DIR; default: as found, or held out",
    )
    group.add_argument("--val-images", default="", metavar="DIR", help=argparse.SUPPRESS)
    group.add_argument(
        "--model",
        default="",
        metavar="NAME",
        help="a name of `solo zoo`, or the folder of a run, to start from",
    )
    group.add_argument("--epochs", type=float, metavar="N", help="default: by the number of images")


def _add_processes(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--num-gpus", type=int, default=1, metavar="N", help="processes here; 0: on the CPU"
    )
    group.add_argument("--num-machines", type=int, default=1, metavar="N", help="default: 1")
    group.add_argument(
        "--machine-rank", type=int, default=0, metavar="N", help="which of them this is, from 0"
    )
    group.add_argument(
        "--dist-url", default="auto", metavar="URL", help="where they meet: tcp://HOST:PORT"
    )
