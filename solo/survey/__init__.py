"""What the model will see of a data set, what settings would fit it, and what a trained one makes of it."""

from solo.survey.analysis import Analysis, analyze_dataset
from solo.survey.seen_images import SeenImage, analysis_config
from solo.survey.statistics import Survey, take_survey
from solo.survey.training_targets import ImageTargets, training_targets

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
