r"""Convert a checkpoint of other code for SOLO or YOLOX to ours, or any to mmdetection's layout.

Those of the official codes, mmdetection 3.x, AdelaiDet and yolov7_d2 are told by the names in them.
Training and evaluation load them as they are, too.

example: solo convert SOLOv2_R50_3x.pth solov2.pth --config coco/solov2_R_50_FPN_3x
"""

import argparse
from pathlib import Path

from solo.cli._parser import MisuseError, Parser, add_config


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    parser.add_argument("source", type=Path, metavar="IN", help="checkpoint to read")
    parser.add_argument("target", type=Path, metavar="OUT", help="checkpoint to write")
    parser.add_argument(
        "--to", choices=("solo", "mmdet"), default="solo", help="layout of OUT (default: solo)"
    )
    add_config(parser, "check that the weights are all that this model needs", required=False)
    parser.add_argument(
        "--trained-otherwise",
        dest="as_published",
        action="store_false",
        help="do not write which colour order, mean, std and strides the weights expect: for weights "
        "that were not trained as the published ones of their lineage were",
    )


def run(args: argparse.Namespace) -> None:
    """Convert, and tell what was found in the file."""
    from solo.export.conversion import convert

    if args.opts and not args.config_file:
        raise MisuseError(f"{args.opts[0]} changes a config: name one with --config.")
    words = {name: value for name, value in vars(args).items() if name != "imports"}
    print(convert(**words))
