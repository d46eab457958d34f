"""Draw augmented training images, with masks, boxes and class names, exactly as training sees them.

python -m solo.tools.show_batches --config-file C --num-images 16 --iteration 0 --output sheet.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import solo  # noqa: F401  (registers the models and the data sets)
from solo.analysis import analysis_config
from solo.analysis.pictures import batch_sheet
from solo.visualization.files import check_picture_path, write_picture


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    try:
        check_picture_path(args.output)
        cfg = analysis_config(args.config_file, args.opts)
        write_picture(batch_sheet(cfg, args.num_images, args.iteration), args.output)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.show_batches",
        description="Draw augmented training images with masks, boxes and class names, exactly as "
        "training sees them where SEED is 0 or more.",
        epilog="example:\n  python -m solo.tools.show_batches --output batches.png \\\n"
        "    --config-file configs/quickstart/solov2_digits.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="of the training run")
    parser.add_argument(
        "--num-images", type=int, default=16, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--iteration", type=int, default=0, help="whose batch comes first; default: %(default)s"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("batches.png"),
        metavar="FILE",
        help=".png or .jpg; default: %(default)s",
    )
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys to override")
    return parser


if __name__ == "__main__":
    main()
