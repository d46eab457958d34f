"""An analysis as files: its numbers, and its picture."""

from pathlib import Path

import yaml

from solo.files import write_text
from solo.modeling.meta_arch import SOLO
from solo.survey.advice import advice
from solo.survey.analysis import Analysis
from solo.survey.summary import class_counts, numbers
from solo.visualization.survey_plot import LevelSettings, plot_survey


def write_analysis(analysis: Analysis, folder: Path) -> None:
    """Write analysis.yaml and analysis.png into a folder.

    Raises:
        OSError: They cannot be written.
    """
    text = yaml.safe_dump(numbers(analysis), default_flow_style=None, sort_keys=False)
    write_text(text, folder / "analysis.yaml")
    configs = {
        "present": (analysis.cfg, analysis.present),
        "proposed": (analysis.proposed_cfg, analysis.proposed),
    }
    plot_survey(
        folder / "analysis.png",
        verdict=advice(analysis),
        sizes=analysis.present.sizes,
        objects=analysis.present.objects,
        class_counts=class_counts(analysis),
        settings={
            name: LevelSettings(
                cfg.MODEL.SOLO.NUM_GRIDS,
                SOLO.build_assigner(cfg).reaches,
                survey.shared_by_level.tolist(),
            )
            for name, (cfg, survey) in configs.items()
        },
    )
