"""Export a trained model to ONNX, OpenVINO or torch.export, and compare the file with the model on images.

example: solo export --model output/quickstart --output exported/ --format openvino --int8
"""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from solo.cli._model import add_model, chosen_model
from solo.cli._own_data import add_data
from solo.cli._parser import MisuseError, Parser, add_options, read_size, split_words

if TYPE_CHECKING:
    from solo.export.int8 import Int8

logger = logging.getLogger(__name__)


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser, exported=False, device=False)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to fill")
    parser.add_argument(
        "--format",
        choices=("onnx", "openvino", "torch_export"),
        default="onnx",
        help="default: onnx",
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--size", type=read_size, metavar="HxW", help="take inputs of this height and width only"
    )
    sizes.add_argument(
        "--dynamic",
        action="store_true",
        help="take the sizes that the config makes of images (default)",
    )
    parser.add_argument(
        "--static",
        action="store_true",
        help="all shapes fixed and nothing that TensorRT refuses (docs/tensorrt.md); default size: the config's",
    )
    parser.add_argument(
        "--post",
        choices=("nms", "raw"),
        default="nms",
        help="with the suppression, or all candidates without it; default: nms",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=(),
        metavar="FILE",
        help="images to compare on; default: some of DATASETS.TEST if they are here, else made-up ones",
    )
    _add_int8(parser.add_argument_group("int8"))
    add_options(parser)


def _add_int8(int8: argparse._ActionsContainer) -> None:
    int8.add_argument(
        "--int8",
        action="store_true",
        help="weights and activations in 8 bits, calibrated on images; its AP is compared with that in float",
    )
    add_data(
        int8, "calibrated on its train part, compared on its val part; default: those of the config"
    )
    int8.add_argument(
        "--num-images",
        type=int,
        metavar="N",
        help="compare the AP on N images, spread evenly; default: all",
    )
    int8.add_argument(
        "--max-drop",
        type=float,
        metavar="AP",
        help="how much AP may be lost; default: 1, more is refused",
    )


def run(args: argparse.Namespace) -> None:
    """Export, and tell how well the file agrees with the model."""
    from solo.export.export import ExportRequest, export_model

    if args.dynamic and args.static:
        raise MisuseError("--dynamic or --static: shapes move, or they are fixed.")
    # KEY VALUE pairs after --images end up among these.
    images, more = split_words(args.images)
    opts = [*more, *args.opts]
    model = chosen_model(args, opts)
    int8 = _int8(args)
    request = ExportRequest(
        config_file=model.config_file,
        weights=model.weights,
        output=args.output,
        format=args.format,
        size=args.size,
        static=args.static,
        post=args.post,
        images=images,
        opts=opts,
        int8=int8,
    )
    done = export_model(request)
    print(done.agreement)
    if done.int8:
        print(done.int8)
    print(f"written: {done.path}")


def _int8(args: argparse.Namespace) -> "Int8 | None":
    """Return what the flags of --int8 say; the data set is registered now."""
    from solo.data.formats.coco_json import register_annotations
    from solo.export.int8 import Int8
    from solo.survey.found_data import find_data

    given = {"num_images": args.num_images, "max_drop": args.max_drop}
    options = {name: value for name, value in given.items() if value is not None}
    if not args.int8:
        if options or args.data:
            raise MisuseError("--data, --num-images and --max-drop go with --int8.")
        return None
    if not args.data:
        return Int8(**options)
    found = find_data(args.data, advice="name a folder with one train and one val part")
    if not found.val:
        logger.warning(
            "%s has no val part: the AP is compared on the images that int8 is calibrated on",
            args.data,
        )
    train, val = (
        register_annotations(part.annotations, part.images, part.form)
        for part in (found.train, found.val or found.train)
    )
    return Int8(calibrate_on=(train,), compare_on=val, **options)
