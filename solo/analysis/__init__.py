"""What the model will see of a data set: sizes, cells, batches, and settings that would fit it."""

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
