r"""Find and draw the instances on images, in a video or before a camera: `solo predict` with detectron2's flags.

example:
  python demo/demo.py --config-file configs/quickstart/solov2_digits.yaml \
      --weights output/quickstart/model_final.pth --input photos/ --output drawn/
"""  # noqa: D405

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a clone, without installing it
from solo.cli._model import add_model
from solo.cli._parser import MisuseError, Parser
from solo.cli.main import run_verb
from solo.cli.predict import add_outputs, read_options
from solo.demo.job import do_job
from solo.input_files import Inputs, find_inputs, user_path
from solo.user_modules import add_import


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser)
    add_import(parser)
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )
    add_outputs(parser.add_argument_group("outputs"), "--confidence-threshold")
    inputs = parser.add_argument_group("inputs (one of them)").add_mutually_exclusive_group(
        required=True
    )
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


def run(args: argparse.Namespace) -> int:
    """Process what the flags name."""
    if not (args.output or args.json or args.show or args.mot):
        raise MisuseError(
            "nothing to do with what is found: give --output, --json, --mot or --show"
        )
    inputs = Inputs([], [args.video] if args.video else [], [], [])
    if args.input:
        inputs = find_inputs(args.input, videos=False)
    done = do_job(read_options(args, args.opts), inputs, args.webcam)
    print(done.summary)
    return done.status


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo with these arguments, None: with those of the process; return the exit status."""
    return run_verb(__name__, "python demo/demo.py", sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
