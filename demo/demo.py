"""Find and draw the instances on images, in a video or before a camera; see README.md."""

import argparse
import signal
import sys
from collections.abc import Sequence

from image_paths import describe_left_out, find_images, user_path
from runner import Options, Runner

from solo.tools._command import add_opts, add_predictor, build_parser, check_predictor

EXAMPLE = """example:
  python demo/demo.py --config-file configs/quickstart/solov2_digits.yaml \\
      --weights output/quickstart/model_final.pth --input photos/ --output drawn/
"""
MAX_STATUS = 100
# What a shell reports for a program that Ctrl-C ended.
INTERRUPTED_STATUS = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo with these arguments; None: with those of the process.

    Returns:
        The exit status: the number of failures, at most 100; 130 after Ctrl-C.
    """
    args = parse_arguments(argv)
    runner = Runner(Options(**{name: getattr(args, name) for name in Options._fields}))
    interrupted = False
    try:
        run(runner, args)
    except KeyboardInterrupt:
        # The usual way to end a recording.
        interrupted = args.webcam is None
    except Exception as error:
        runner.fail(error)
    finally:
        runner.write_json()
    print(summarise(runner, "image" if args.input else "frame", interrupted))
    return INTERRUPTED_STATUS if interrupted else min(len(runner.failures), MAX_STATUS)


def run(runner: Runner, args: argparse.Namespace) -> None:
    """Process what the arguments name.

    Raises:
        UserError: An argument is wrong.
        OSError: A file cannot be read or written.
    """
    if not args.input:
        runner.run_video(args.video if args.video else args.webcam)
        return
    found = find_images(args.input)
    if found.left_out:
        print(describe_left_out(found.left_out), file=sys.stderr)
    for problem in found.problems:
        runner.fail(problem)
    if found.paths:
        runner.run_images(found.paths)


def summarise(runner: Runner, unit: str, interrupted: bool) -> str:
    """Say in one sentence what was done."""
    count = runner.num_done
    done = f"{count} {unit}{'' if count == 1 else 's'}"
    parts = [f"{done} done"]
    if count and runner.seconds:
        rate, share = count / runner.seconds, runner.model_seconds / runner.seconds
        parts = [f"{done} in {runner.seconds:.1f} s: {rate:.1f} frames/s (model {share:.0%})"]
    if runner.failures:
        parts.append(f"{len(runner.failures)} failed")
    if interrupted:
        parts.append("stopped before the end")
    return ", ".join(parts) + "."


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; stop at what does not go together."""
    parser = build_parser(None, f"{__doc__}\n\n{EXAMPLE}")
    _add_model(parser.add_argument_group("model"))
    _add_inputs(parser.add_argument_group("inputs (one of them)"))
    _add_outputs(parser.add_argument_group("outputs"))
    args = parser.parse_args(argv)
    if not (args.output or args.json or args.show):
        parser.error("nothing to do with what is found: give --output, --json or --show")
    if args.output and args.output == args.json:
        parser.error("--output and --json name the same file")
    if not 0 <= args.confidence_threshold <= 1:
        parser.error(f"--confidence-threshold {args.confidence_threshold}: give 0 to 1")
    check_predictor(parser, args)
    return args


def _add_model(group: argparse._ArgumentGroup) -> None:
    add_predictor(group)
    add_opts(group, "--opts")
    group.add_argument(
        "--confidence-threshold",
        type=float,
        default=0.3,
        metavar="P",
        help="score below which instances are left out; default: %(default)s",
    )
    group.add_argument(
        "--tiles",
        type=int,
        metavar="SIZE",
        help="look at images whose longer side is over SIZE pixels in overlapping tiles of SIZE",
    )


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--output",
        type=user_path,
        metavar="PATH",
        help="folder for the pictures or the video; or a file, for one image or the video (.mp4)",
    )
    group.add_argument(
        "--json",
        type=user_path,
        metavar="FILE",
        help="COCO-style list of the instances, masks as RLE",
    )
    group.add_argument("--show", action="store_true", help="open a window; q ends")


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    inputs = group.add_mutually_exclusive_group(required=True)
    inputs.add_argument(
        "--input",
        nargs="+",
        metavar="PATH",
        help='images, folders of images, and patterns such as "photos/**/*.jpg"',
    )
    inputs.add_argument("--video", type=user_path, metavar="FILE", help="video file")
    inputs.add_argument(
        "--webcam",
        type=int,
        nargs="?",
        const=0,
        metavar="N",
        help="camera by its number, 0 if none is given; Ctrl-C ends",
    )


if __name__ == "__main__":
    # A job that is ended closes its files, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
