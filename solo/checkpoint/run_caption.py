"""What a picture of a run says of it: name, config, date, how long an epoch is, the best checkpoint."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from solo.checkpoint import run_files
from solo.errors import UserError
from solo.reached import evaluations, metric_of


class RunCaption(NamedTuple):
    """The arguments of `plot_metrics` about a run."""

    title: str
    epoch: float = 0.0  # iterations; 0: not known
    best_metric: str = "segm/AP"
    best_file: str = ""


def run_caption(folder: Path) -> RunCaption:
    """Return what the files of a run say of it; what an older version did not write is left out."""
    best = run_files.BEST_CHECKPOINT if (folder / run_files.BEST_CHECKPOINT).is_file() else ""
    try:
        record = run_files.read_run_record(folder)
        cfg = yaml.safe_load((folder / run_files.CONFIG).read_text(encoding="utf-8"))
        batch, tests = _batch(cfg["SOLVER"], record), list(cfg["DATASETS"]["TEST"])
        chosen = cfg.get("TEST", {}).get("BEST_METRIC", "")
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, UserError):
        return RunCaption(folder.resolve().name, best_file=best)
    metric = metric_of(evaluations(folder / run_files.METRICS), tests, chosen)
    if not record:
        return RunCaption(folder.resolve().name, 0.0, metric, best)
    parts = [folder.resolve().name, Path(record.last.config_file).name, _state(record.last)]
    return RunCaption(", ".join(filter(None, parts)), _images(record.last) / batch, metric, best)


def _batch(solver: dict[str, Any], record: run_files.RunRecord | None) -> float:
    """Return the images of an iteration; config.yaml may say them for another number of workers."""
    workers = record.last.conditions.workers if record and record.last.conditions else 1
    scale = workers / (solver.get("REFERENCE_WORLD_SIZE") or workers)
    return round(solver["IMS_PER_BATCH"] * scale)


def _state(start: run_files.Start) -> str:
    outcome = start.outcome
    if outcome and outcome.ended:
        return f"{outcome.status} on {outcome.ended[:10]}"
    return f"started on {start.started[:10]}"


def _images(start: run_files.Start) -> int:
    """Return how many images it is trained on; 0 where that is not known."""
    data: list[dict[str, Any]] = start.conditions.data.get("train", []) if start.conditions else []
    counts = [one["images"] for one in data]
    return sum(counts) if all(counts) else 0
