"""Training and evaluation."""

from solo.engine.evaluation import check_evaluation, evaluate, evaluate_with_tta
from solo.engine.launch import LaunchError, launch
from solo.engine.setup import load_config, setup_config, setup_run
from solo.engine.solver import build_optimizer
from solo.engine.trainer import Trainer

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
