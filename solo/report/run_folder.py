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
    config_file = folder / run_files.CONFIG
    if not config_file.is_file():
        raise FileNotFoundError(
            f"{folder} has no config.yaml: give the folder that a training wrote, its OUTPUT_DIR."
        )
    weights = weights or _last_checkpoint(folder)
    if not weights.is_file():
        raise FileNotFoundError(f"There is no checkpoint {weights}: name another with --weights.")
    return Run(
        folder=folder,
        config_file=config_file,
        cfg=inference_config(config_file, str(weights)),
        weights=weights,
        record=run_files.read_run_record(folder),
        metrics=_metrics(folder),
    )


def _last_checkpoint(folder: Path) -> Path:
    """Return the last checkpoint of the run that config.yaml is of; the folder may hold another run's, too."""
    final, marker = folder / run_files.FINAL_CHECKPOINT, folder / run_files.LAST_CHECKPOINT
    is_anew = any(
        (folder / name).is_file()
        for name in (run_files.PREVIOUS_CHECKPOINT, run_files.PREVIOUS_METRICS)
    )
    if marker.is_file():
        # A checkpoint is written before the marker names it: an older one that is not named is of
        # another run. A copy may have other times.
        if final.is_file() and not is_anew and _time(final) >= _time(marker):
            return final
        return folder / marker.read_text(encoding="utf-8", errors="replace").strip()
    if final.is_file() and not is_anew:
        return final
    if older := sorted(path.name for path in folder.glob("[!.]*.pth")):
        raise FileNotFoundError(
            f"{folder} has checkpoints of an earlier run only ({', '.join(older)}), to which its "
            "config.yaml does not belong: wait for the first one of this run, or name one with "
            "--weights."
        )
    raise FileNotFoundError(
        f"{folder} has no checkpoint yet: wait for the first one, or name one with --weights."
    )


def _time(path: Path) -> int:
    return path.stat().st_mtime_ns


def _metrics(folder: Path) -> Metrics:
    try:
        return read_metrics(folder / run_files.METRICS)
    except (FileNotFoundError, UserError):
        return {}
