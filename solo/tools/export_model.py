r"""Export a trained model to ONNX or torch.export, and compare the file with the model on images.

example: python -m solo.tools.export_model --output exported/ \
    --config-file configs/quickstart/solov2_digits.yaml --weights output/quickstart/model_final.pth
"""

from collections.abc import Sequence
from pathlib import Path

from solo.errors import exit_on
from solo.export.export import ExportRequest, export_model
from solo.export.file_format import ExportFormat, Post
from solo.tools._command import add_opts, build_parser, read_size


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("export_model", __doc__)
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--weights", required=True, metavar="FILE", help="checkpoint to load")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to fill")
    parser.add_argument(
        "--format", choices=list(ExportFormat), default=ExportFormat.ONNX, help="default: onnx"
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
        choices=list(Post),
        default=Post.NMS,
        help="with matrix NMS, or all candidates without suppression; default: nms",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=(),
        metavar="FILE",
        help="images to compare on; default: some of DATASETS.TEST if they are here, else made-up ones",
    )
    add_opts(parser, "--opts")
    args = vars(parser.parse_args(argv))
    del args["imports"]
    with exit_on():
        done = export_model(ExportRequest(**args))
    print(f"{done.path}: {done.agreement}.")


if __name__ == "__main__":
    main()
