r"""Measure a data set as a config trains on it; propose NUM_GRIDS, SCALE_RANGES and input size.

example: python -m solo.tools.analyze_dataset --output analysis \
    --config-file configs/quickstart/solov2_digits.yaml
"""

from collections.abc import Sequence
from pathlib import Path

import yaml

from solo.errors import exit_on
from solo.files import check_folder, write_text
from solo.survey.analysis import Analysis, analyze_dataset
from solo.survey.seen_images import analysis_config
from solo.survey.summary import class_counts, numbers, summary
from solo.tools._command import add_config, build_parser
from solo.visualization.survey_plot import LevelSettings, plot_survey


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = build_parser("analyze_dataset", __doc__)
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
    args = parser.parse_args(argv)
    with exit_on():
        check_folder(args.output)
        cfg = analysis_config(args.config_file, args.opts, args.dataset)
        analysis = analyze_dataset(cfg, args.num_images)
        _write(analysis, args.output)
    print(summary(analysis))
    print(f"written: {args.output / 'analysis.yaml'} and {args.output / 'analysis.png'}")


def _write(analysis: Analysis, folder: Path) -> None:
    text = yaml.safe_dump(numbers(analysis), default_flow_style=None, sort_keys=False)
    write_text(text, folder / "analysis.yaml")
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
                cfg.MODEL.SOLO.NUM_GRIDS,
                cfg.MODEL.SOLO.SCALE_RANGES,
                survey.shared_by_level.tolist(),
            )
            for name, (cfg, survey) in configs.items()
        },
    )


if __name__ == "__main__":
    main()
