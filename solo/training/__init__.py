"""Training and evaluation."""

from solo.config.load import load_config
from solo.inference.model_evaluation import check_evaluation, evaluate, evaluate_with_tta
from solo.training.launch import LaunchError, launch
from solo.training.run import setup_config, setup_run
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
    "load_config",
    "setup_config",
    "setup_run",
]
