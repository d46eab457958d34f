"""The folder of a training run: its config, its checkpoint, and the numbers that it logged."""

from dataclasses import dataclass
from pathlib import Path

from detectron2.config import CfgNode

from solo.checkpoint import run_files
from solo.config.load import inference_config
from solo.errors import UserError
from solo.visualization.curves import Metrics, read_metrics


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A folder that training wrote.

    Attributes:
        folder: Its OUTPUT_DIR, wherever it is now.
        config_file: The config, with all keys.
        cfg: What it holds.
        weights: The checkpoint to look at.
        record: What training wrote of itself; None if it was of an older version.
        metrics: The numbers that training logged; a copy of a run may lack them.
    """

    folder: Path
    config_file: Path
    cfg: CfgNode
    weights: Path
    record: run_files.RunRecord | None
    metrics: Metrics


def open_run(folder: Path, weights: Path | None = None) -> Run:
    """Find the config and the checkpoint of a run.

    Args:
        folder: The OUTPUT_DIR of the training.
        weights: The checkpoint. None: the last one of this run, not of an earlier one in its folder.

    Raises:
        FileNotFoundError: There is no config, or no checkpoint of this run.
        UserError: The config has an unknown key or a value of a wrong type.
    """
    config_file, weights = run_files.model_of_run(folder, weights)
    return Run(
        folder=folder,
        config_file=config_file,
        cfg=inference_config(config_file, str(weights)),
        weights=weights,
        record=run_files.read_run_record(folder),
        metrics=_metrics(folder),
    )


def _metrics(folder: Path) -> Metrics:
    try:
        return read_metrics(folder / run_files.METRICS)
    except (FileNotFoundError, UserError):
        return {}
