r"""Draw training images as training sees them: augmented, with masks, boxes and class names.

They are exactly those of training where SEED is 0 or more. With --targets: which cells of each level have to
find which object; objects that no cell takes are outlined in red.

example: solo data show --config quickstart/solov2_digits --output batches.png
"""

import argparse
from pathlib import Path

from solo.cli._parser import Parser, add_config


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_config(parser, "config of the training run")
    parser.add_argument(
        "--targets", action="store_true", help="draw the cells that learn each object"
    )
    parser.add_argument(
        "--num-images", type=int, metavar="N", help="default: 16, and 4 with --targets"
    )
    parser.add_argument(
        "--iteration", type=int, default=0, help="whose batch comes first; default: %(default)s"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: batches.png, or targets.png"
    )


def run(args: argparse.Namespace) -> None:
    """Write the picture."""
    from solo.errors import UserError
    from solo.survey.drawings import batch_sheet, target_sheet
    from solo.survey.seen_images import analysis_config
    from solo.visualization.pictures import check_picture_path, write_picture

    if args.targets and args.iteration:
        raise UserError("--targets draws the first images: leave out --iteration.")
    output = args.output or Path("targets.png" if args.targets else "batches.png")
    check_picture_path(output)
    cfg = analysis_config(args.config_file, args.opts)
    count = (4 if args.targets else 16) if args.num_images is None else args.num_images
    sheet = target_sheet(cfg, count) if args.targets else batch_sheet(cfg, count, args.iteration)
    write_picture(sheet, output)
    print(f"written: {output}")
