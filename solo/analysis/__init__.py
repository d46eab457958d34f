"""What the model will see of a data set, what settings would fit it, and what a trained one makes of it."""

from solo.analysis.dataset import Analysis, analyze_dataset
from solo.analysis.inputs import SeenImage, analysis_config
from solo.analysis.survey import Survey, take_survey
from solo.analysis.targets import ImageTargets, training_targets

__all__ = [
    "Analysis",
    "ImageTargets",
    "SeenImage",
    "Survey",
    "analysis_config",
    "analyze_dataset",
    "take_survey",
    "training_targets",
]
