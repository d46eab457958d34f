"""Training and evaluation."""

from solo.inference.datasets import evaluate, evaluate_with_tta, prepare_evaluation
from solo.training.launch import launch
from solo.training.meeting import LaunchError
from solo.training.output_dir import reserved_output_dir
from solo.training.record import record_run
from solo.training.run import setup_config, setup_run, training_config
from solo.training.solver import build_optimizer
from solo.training.trainer import Trainer
from solo.training.workers import told_lost_loaders

__all__ = [
    "LaunchError",
    "Trainer",
    "build_optimizer",
    "evaluate",
    "evaluate_with_tta",
    "launch",
    "prepare_evaluation",
    "record_run",
    "reserved_output_dir",
    "setup_config",
    "setup_run",
    "told_lost_loaders",
    "training_config",
]
