"""Export a trained model to ONNX or torch.export, and compare the file with the model.

python -m solo.tools.export_model --config-file C --weights F --output exported/
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import solo  # noqa: F401  (registers the models and the data sets)
from solo.export.export import SUFFIXES, ExportRequest, export_model

EXAMPLE = """example:
  python -m solo.tools.export_model --config-file configs/quickstart/solov2_digits.yaml \\
      --weights output/quickstart/model_final.pth --output exported/
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    names = ("config_file", "weights", "output", "format", "size", "post", "images", "opts")
    try:
        done = export_model(ExportRequest(**{name: getattr(args, name) for name in names}))
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{done.path}: {done.agreement}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.export_model",
        description="Export a trained model, and compare the file with the model on images.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="the model's config")
    parser.add_argument("--weights", required=True, metavar="FILE", help="checkpoint to load")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to fill")
    parser.add_argument("--format", choices=list(SUFFIXES), default="onnx", help="default: onnx")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--size", type=_size, metavar="HxW", help="take inputs of this height and width only"
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
        help="with matrix NMS, or all candidates without suppression; default: nms",
    )
    parser.add_argument(
        "--images",
        nargs="+",
        default=(),
        metavar="FILE",
        help="images to compare on; default: some of DATASETS.TEST if they are here, else made-up ones",
    )
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )
    return parser


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = map(int, text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give it as 800x1344, height first") from None
    return height, width


if __name__ == "__main__":
    main()
