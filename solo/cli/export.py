"""Export a trained model to ONNX, OpenVINO or torch.export, and compare the file with the model on images.

example: solo export --model output/quickstart --output exported/
"""

import argparse
from pathlib import Path

from solo.cli._model import add_model, chosen_model
from solo.cli._parser import Parser, add_options, read_size, split_words


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
        action="store_const",
        dest="size",
        const=None,
        help="take the sizes that the config makes of images (default)",
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
    add_options(parser)


def run(args: argparse.Namespace) -> None:
    """Export, and tell how well the file agrees with the model."""
    from solo.export.export import ExportRequest, export_model

    # KEY VALUE pairs after --images end up among these.
    images, more = split_words(args.images)
    opts = [*more, *args.opts]
    model = chosen_model(args, opts)
    request = ExportRequest(
        config_file=model.config_file,
        weights=model.weights,
        output=args.output,
        format=args.format,
        size=args.size,
        post=args.post,
        images=images,
        opts=opts,
    )
    done = export_model(request)
    print(f"{done.agreement}\nwritten: {done.path}")
