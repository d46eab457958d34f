"""`solo predict --parquet`: very many images, by workers of Ray."""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from solo.cli._model import Model, chosen_model
from solo.cli._parser import MisuseError, Parser
from solo.files import check_folder
from solo.input_files import user_path
from solo.terminal import how_many

if TYPE_CHECKING:
    from solo.inference.predictor import Predictor
    from solo.inference.ray import Outcome

_MAX_STATUS = 100
# What is told fits a screen; the rest is in the files, or will be told by the next call.
_MOST_PROBLEMS = 20
# Flags that this has no use for, and what they are if they are not given.
_OTHERS: dict[str, object] = {
    **{"output": None, "show": False, "webcam": None},
    **{"batch": 1, "track": False, "track_seconds": 1.0, "mot": None},
}


def add_parquet(parser: Parser) -> None:
    """Add --parquet and --workers."""
    group = parser.add_argument_group("very many images")
    group.add_argument(
        "--parquet",
        type=user_path,
        metavar="DIR",
        help="write what is found as Parquet files, by several workers of Ray; FILE may be a .csv or .parquet with "
        "a column `path`, too. What is there already is not done again",
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="of --parquet; default: one a GPU, or core"
    )


def predict_to_parquet(args: argparse.Namespace, words: Sequence[str], opts: Sequence[str]) -> int:
    """Process all images that the words name, and return the exit status: the number of failures, at most 100.

    Raises:
        MisuseError: The flags do not go together.
        OSError, UserError: See `predict_files`.
    """
    if not args.parquet:
        raise MisuseError("--workers N goes with --parquet DIR.")
    if args.workers is not None and args.workers < 1:  # before weights are fetched
        raise MisuseError(f"--workers {args.workers}: give 1 at least.")
    for name, default in _OTHERS.items():
        if getattr(args, name) != default:
            flag = f"--{name.replace('_', '-')}"
            raise MisuseError(f"--parquet takes images and draws none: leave out {flag}.")
    if not words:
        raise MisuseError(
            "name images, folders or tables, as in: solo predict photos/ --parquet found/"
        )
    model = chosen_model(args, opts)
    if args.json:  # before the work
        check_folder(args.json.parent)

    from solo.inference.model_identity import model_identity
    from solo.inference.parquet_files import parts_of
    from solo.inference.ray import predict_files, write_coco_json

    files = model.config_file, model.weights, model.onnx
    device = _device_of(model, opts)
    outcome = predict_files(
        words,
        args.parquet,
        opener(model, opts, args.tiles),
        workers=args.workers,
        gpus=device != "cpu" and not model.onnx,
        threshold=args.threshold,
        imports=args.imports,
        identity=model_identity(*files, opts=opts, tiles=args.tiles),
    )
    _tell(outcome)
    parts = parts_of(args.parquet)
    print(f"written: {how_many(len(parts), 'file')} in {args.parquet}")
    if args.json:
        written = write_coco_json(args.parquet, args.json, outcome.paths)
        print(f"written: {how_many(written.num_instances, 'instance')} in {args.json}")
    unread = len(outcome.problems) + outcome.num_unread_before
    return min(unread + outcome.num_lost, _MAX_STATUS)


def opener(
    model: Model, opts: Sequence[str] = (), tiles: int | None = None
) -> Callable[..., "Predictor"]:
    """Return what builds the predictor in a worker; it takes the worker's `threads`."""
    from solo.inference.opening import open_predictor

    files = model.config_file, model.weights, model.onnx
    return partial(open_predictor, *files, device=model.device, opts=tuple(opts), tiles=tiles)


def _device_of(model: Model, opts: Sequence[str]) -> str:
    """Return where workers run the model; empty: wherever they can."""
    device = model.device or dict(zip(opts[::2], opts[1::2], strict=True)).get("MODEL.DEVICE", "")
    if ":" in device:
        raise MisuseError(
            f"--parquet shares out all GPUs among the workers: give --device cuda for {device}, and the "
            "environment CUDA_VISIBLE_DEVICES if it is to be some alone."
        )
    return device


def _tell(outcome: "Outcome") -> None:
    problems = [*outcome.problems, *outcome.faults]
    for problem in problems[:_MOST_PROBLEMS]:
        print(f"error: {problem}", file=sys.stderr)
    if more := len(problems[_MOST_PROBLEMS:]):
        print(f"and {more:,} more: see the column `error`", file=sys.stderr)
    if outcome.num_unread_before:
        unread = how_many(outcome.num_unread_before, "image")
        print(f"error: {unread} could not be read before: see the column `error`", file=sys.stderr)
    if outcome.num_lost:
        lost = how_many(outcome.num_lost, "image")
        print(
            f"error: {lost} still to do, whose workers died or had a fault: call again",
            file=sys.stderr,
        )
    new = outcome.num_images - outcome.num_before - outcome.num_lost
    before = f", {outcome.num_before:,} were done before" if outcome.num_before else ""
    print(
        f"{how_many(new, 'image')} done{before}: {how_many(outcome.num_objects, 'object')} found."
    )
