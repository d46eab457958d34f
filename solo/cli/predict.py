"""Find and draw the objects on images, in videos, before a camera.

FILE is an image, a video, a folder of images, or a pattern in quotes. Without --output, --json, --mot and
--show, pictures and videos go into predictions/, and what was found into predictions/instances.json.

example: solo predict photo.jpg holiday/ "scans/**/*.png" clip.mp4 --model output/cats
"""

import argparse
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from solo.cli._model import add_model, chosen_model
from solo.cli._parquet import add_parquet, predict_to_parquet
from solo.cli._parser import MisuseError, Parser, add_tiles, add_words, split_words
from solo.input_files import find_inputs, user_path

if TYPE_CHECKING:
    from solo.demo.runner import Options

# Where all goes if nothing is said.
OUTPUT = Path("predictions")
EXAMPLE = "solo predict photo.jpg"


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser)
    add_outputs(parser, "--threshold")
    parser.add_argument(
        "--webcam",
        nargs="?",
        const="0",
        metavar="N",
        help="a camera in place of files, by its number, 0 if none is given; Ctrl-C ends",
    )
    add_parquet(parser)
    add_words(parser, "FILE", "images, videos, folders of images, patterns")


def add_outputs(parser: argparse._ActionsContainer, threshold: str) -> None:
    """Add --output, --json and --show, the threshold under this name, --tiles, and the flags of videos."""
    parser.add_argument(
        "--output",
        type=user_path,
        metavar="PATH",
        help="folder for the pictures or the video; or a file, for one image or the video (.mp4)",
    )
    parser.add_argument(
        "--json",
        type=user_path,
        metavar="FILE",
        help="COCO-style list of the instances, masks, if any, as RLE",
    )
    parser.add_argument("--show", action="store_true", help="open a window; q ends")
    parser.add_argument(
        threshold,
        dest="threshold",
        type=read_score,
        metavar="P",
        help="score below which instances are left out; default: the model's own, of the best F1 in its "
        "evaluation, or 0.3",
    )
    add_tiles(parser)
    _add_videos(parser)


def _add_videos(parser: argparse._ActionsContainer) -> None:
    """Add what is of videos alone."""
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        metavar="N",
        help="frames of a video that go through the network together: faster, for N times the memory; an exported "
        "model takes them one by one; default: %(default)s",
    )
    parser.add_argument(
        "--track",
        action="store_true",
        help="follow the objects of a video through frames that show them less surely, and leave out what "
        "a single frame shows",
    )
    parser.add_argument(
        "--track-seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="that an object of a video may be hidden and keep its number; default: %(default)g",
    )
    parser.add_argument(
        "--mot",
        type=user_path,
        metavar="FILE",
        help="the tracks of one video in the format of MOTChallenge",
    )


def run(args: argparse.Namespace) -> int:
    """Process all that the words name, and say which files came of it."""
    words, camera = args.words, args.webcam
    if camera and not camera.isdigit():
        # Not the number of one, but the first of the words.
        words, camera = [camera, *words], "0"
    words, opts = split_words(words)
    if args.parquet or args.workers is not None:
        return predict_to_parquet(args, words, opts)
    if not words and not camera:
        raise MisuseError(f"name images, folders or videos, as in: {EXAMPLE}")
    if words and camera:
        raise MisuseError(f"give files or --webcam, not both ({words[0]}).")
    if not (args.output or args.json or args.show or args.mot):
        args.output, args.json = OUTPUT, OUTPUT / "instances.json"
    options = read_options(args, opts)

    from solo.demo.job import describe_found, do_job, list_outputs

    inputs = find_inputs(words, output=args.output)
    done = do_job(options, inputs, int(camera) if camera else None)
    print(done.summary, *describe_found(done.runner), sep="\n")
    for line in list_outputs(done.runner):
        print(f"written: {line}")
    return done.status


def read_options(args: argparse.Namespace, opts: Sequence[str]) -> "Options":
    """Return what the flags say, but for the inputs.

    Raises:
        MisuseError: They do not go together.
        UserError: There is no such model.
        OSError: A run has no config or checkpoint.
    """
    from solo.demo.runner import Options

    files = [(flag, getattr(args, flag)) for flag in ("output", "json", "mot")]
    for (one, path), (other, same) in itertools.combinations(files, 2):
        if path and same and path.resolve() == same.resolve():
            raise MisuseError(f"--{one} and --{other} name the same file.")
    model = chosen_model(args, opts)
    return Options(
        config_file=model.config_file,
        weights=model.weights,
        onnx=model.onnx,
        device=model.device,
        opts=opts,
        tiles=args.tiles,
        output=args.output,
        json=args.json,
        show=args.show,
        threshold=args.threshold,
        name=model.name,
        batch=args.batch,
        track=args.track,
        track_seconds=args.track_seconds,
        mot=args.mot,
    )


def read_score(text: str) -> float:
    """Read a probability from the command line."""
    if not re.fullmatch(r"0(\.\d*)?|1(\.0*)?|\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no score: give 0 to 1")
    return float(text)
