"""`solo predict --parquet`: very many images, by workers of Ray."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from solo.cli._model import chosen_model
from solo.cli._parser import MisuseError, Parser
from solo.files import check_folder
from solo.input_files import user_path
from solo.terminal import how_many

if TYPE_CHECKING:
    from solo.inference.ray import Outcome

_MAX_STATUS = 100
# What is told fits a screen; all of it is in the files.
_MOST_PROBLEMS = 20


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
    others = {"--output": args.output, "--show": args.show, "--webcam": args.webcam}
    others |= {"--mot": args.mot, "--track": args.track}
    for flag, given in others.items():
        if given:
            raise MisuseError(f"--parquet takes images and draws none: leave out {flag}.")
    if not words:
        raise MisuseError(
            "name images, folders or tables, as in: solo predict photos/ --parquet found/"
        )
    model = chosen_model(args, opts)
    if args.json:  # before the work
        check_folder(args.json.parent)

    from solo.inference.opening import open_predictor
    from solo.inference.parquet_files import parts_of
    from solo.inference.ray import predict_files, write_coco_json

    files = model.config_file, model.weights, model.onnx
    outcome = predict_files(
        words,
        args.parquet,
        partial(open_predictor, *files, device=model.device, opts=tuple(opts), tiles=args.tiles),
        workers=args.workers,
        gpus=model.device != "cpu" and not model.onnx,
        threshold=args.threshold,
        imports=args.imports,
    )
    _tell(outcome)
    print(f"written: {how_many(len(parts_of(args.parquet)), 'file')} in {args.parquet}")
    if args.json:
        written = write_coco_json(args.parquet, args.json)
        print(f"written: {how_many(written.num_instances, 'instance')} in {args.json}")
    return min(len(outcome.problems) + outcome.num_lost, _MAX_STATUS)


def _tell(outcome: "Outcome") -> None:
    for problem in outcome.problems[:_MOST_PROBLEMS]:
        print(f"error: {problem}", file=sys.stderr)
    if more := len(outcome.problems[_MOST_PROBLEMS:]):
        print(f"and {more:,} more: see the column `error`", file=sys.stderr)
    if outcome.num_lost:
        lost = how_many(outcome.num_lost, "image")
        print(f"error: workers died of {lost} or near them: call again", file=sys.stderr)
    new = outcome.num_images - outcome.num_before - outcome.num_lost
    before = f", {outcome.num_before:,} were done before" if outcome.num_before else ""
    print(
        f"{how_many(new, 'image')} done{before}: {how_many(outcome.num_objects, 'object')} found."
    )
