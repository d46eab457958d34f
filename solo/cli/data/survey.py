r"""Measure a data set as a config trains on it; propose NUM_GRIDS, SCALE_RANGES and input size.

example: solo data survey --config quickstart/solov2_digits --output analysis/
"""

import argparse
from pathlib import Path

from solo.cli._parser import Parser, add_config


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_config(parser, "config of the training run")
    parser.add_argument("--dataset", default="", help="registered name; default: DATASETS.TRAIN")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("analysis"),
        metavar="DIR",
        help="folder for analysis.yaml and analysis.png; default: %(default)s",
    )
    parser.add_argument(
        "--num-images",
        type=int,
        default=1000,
        metavar="N",
        help="images to look at, the first ones of training; default: %(default)s",
    )


def run(args: argparse.Namespace) -> None:
    """Measure, propose, and write both as numbers and as a picture."""
    from solo.files import check_folder
    from solo.survey.analysis import analyze_dataset
    from solo.survey.analysis_files import write_analysis
    from solo.survey.seen_images import analysis_config
    from solo.survey.summary import summary

    check_folder(args.output)
    cfg = analysis_config(args.config_file, args.opts, args.dataset)
    analysis = analyze_dataset(cfg, args.num_images)
    write_analysis(analysis, args.output)
    print(summary(analysis))
    print(f"written: {args.output / 'analysis.yaml'} and {args.output / 'analysis.png'}")
