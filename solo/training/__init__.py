"""Training and evaluation."""

from solo.inference.model_evaluation import check_evaluation, evaluate, evaluate_with_tta
from solo.training.launch import LaunchError, launch
from solo.training.run import setup_config, setup_run, training_config
from solo.training.solver import build_optimizer
from solo.training.trainer import Trainer

__all__ = [
    "LaunchError",
    "Trainer",
    "build_optimizer",
    "check_evaluation",
    "evaluate",
    "evaluate_with_tta",
    "launch",
    "setup_config",
    "setup_run",
    "training_config",
]
