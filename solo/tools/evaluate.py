r"""Evaluate a trained model on a data set, and print the tables of AP.

The model is a checkpoint or an exported file; it sees images whole or in tiles.

example: python -m solo.tools.evaluate --config-file configs/quickstart/solov2_digits.yaml \
    --weights output/quickstart/model_final.pth --dataset digits_val
example: python -m solo.tools.evaluate --config-file C --weights F --dataset D TEST.AUG.ENABLED True
example: python -m solo.tools.evaluate --onnx exported/model.onnx --dataset digits_val --tiles 1024
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from detectron2.evaluation import print_csv_format
from detectron2.utils.logger import setup_logger

from solo.errors import exit_on
from solo.inference import Predictor, TileRule
from solo.inference.datasets import evaluate_predictor
from solo.tools._command import add_opts, add_predictor, build_parser, check_predictor


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    args = parse_arguments(argv)
    for name in ("fvcore", "detectron2", "solo"):
        setup_logger(name=name)
    with exit_on():
        if args.output:
            args.output.mkdir(parents=True, exist_ok=True)
        results = evaluate_predictor(
            build_predictor(args),
            args.dataset,
            output_dir=args.output and str(args.output),
            num_images=args.num_images,
        )
    print_csv_format(results)


def build_predictor(args: argparse.Namespace) -> Predictor:
    """Build what the arguments name.

    Raises:
        OSError: A file cannot be read.
        UserError: An argument, or a file, is wrong, or onnxruntime is not installed.
    """
    tiles = None if args.tiles is None else TileRule(size=args.tiles)
    # Evaluators take run lengths, which full-size masks would become anyway.
    if args.onnx:
        return Predictor.from_onnx(args.onnx, mask_format="rle", tiles=tiles)
    opts = ["MODEL.SOLO.TEST.MASK_FORMAT", "rle", *args.opts]
    return Predictor.from_config(
        args.config_file, args.weights, device=args.device, opts=opts, tiles=tiles
    )


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; stop at arguments that do not go together."""
    parser = build_parser("evaluate", __doc__)
    add_predictor(parser)
    parser.add_argument("--dataset", required=True, metavar="NAME", help="registered name")
    parser.add_argument(
        "--tiles",
        type=int,
        metavar="SIZE",
        help="cut images whose longer side is over SIZE pixels into tiles of that size",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="folder for the predictions in COCO's format"
    )
    parser.add_argument(
        "--num-images", type=int, metavar="N", help="N images of the data set; default: all"
    )
    add_opts(parser)
    args = parser.parse_args(argv)
    check_predictor(parser, args, "KEY VALUE")
    return args


if __name__ == "__main__":
    main()
