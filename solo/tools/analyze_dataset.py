"""Measure a data set as a config trains on it, and propose grids, scale ranges and input size.

python -m solo.tools.analyze_dataset --config-file C --dataset digits_train --output analysis
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

import solo  # noqa: F401  (registers the models and the data sets)
from solo.analysis import Analysis, analysis_config, analyze_dataset
from solo.analysis.report import class_counts, numbers, summary
from solo.visualization.files import check_folder
from solo.visualization.survey import LevelSettings, plot_survey


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    try:
        check_folder(args.output)
        cfg = analysis_config(args.config_file, args.opts, args.dataset)
        analysis = analyze_dataset(cfg, args.num_images)
        _write(analysis, args.output)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(summary(analysis))
    print(f"written: {args.output / 'analysis.yaml'} and {args.output / 'analysis.png'}")


def _write(analysis: Analysis, folder: Path) -> None:
    text = yaml.safe_dump(numbers(analysis), default_flow_style=None, sort_keys=False)
    (folder / "analysis.yaml").write_text(text, encoding="utf-8")
    configs = {
        "present": (analysis.cfg, analysis.present),
        "proposed": (analysis.proposed_cfg, analysis.proposed),
    }
    plot_survey(
        folder / "analysis.png",
        sizes=analysis.present.sizes,
        objects=analysis.present.objects,
        class_counts=class_counts(analysis),
        settings={
            name: LevelSettings(
                cfg.MODEL.SOLO.NUM_GRIDS, cfg.MODEL.SOLO.SCALE_RANGES, survey.shared_by_level
            )
            for name, (cfg, survey) in configs.items()
        },
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m solo.tools.analyze_dataset",
        description="Measure a data set as a config trains on it, and propose NUM_GRIDS, "
        "SCALE_RANGES and the input size.",
        epilog="example:\n  python -m solo.tools.analyze_dataset --output analysis \\\n"
        "    --config-file configs/quickstart/solov2_digits.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="of the training run")
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
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys to override")
    return parser


if __name__ == "__main__":
    main()
