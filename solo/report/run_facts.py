"""What a run says of itself, in lines for people."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from solo.checkpoint.run_files import Conditions, RunRecord, RunStatus
from solo.report.run_folder import Run


def run_facts(run: Run) -> dict[str, str]:
    """Return the facts of a run by their names; those that an older version did not write are left out."""
    facts = {}
    if run.record:
        facts["Config"] = Path(run.record.last.config_file).name
    iterations = f"{run.cfg.SOLVER.MAX_ITER:,} iterations"
    if done := run.metrics.get("lr"):
        iterations = f"{done[-1][0] + 1:,} of {iterations}"
    facts["Training"] = f"{iterations}, {run.cfg.SOLVER.IMS_PER_BATCH} images each"
    written = datetime.date.fromtimestamp(run.weights.stat().st_mtime)
    facts["Checkpoint"] = f"{run.weights.name}, {written.isoformat()}"
    if run.record and run.record.last.conditions:
        facts.update(_recorded(run.record, run.record.last.conditions))
    return facts


def _recorded(record: RunRecord, now: Conditions) -> Iterator[tuple[str, str]]:
    first = record.starts[0].conditions
    if weights := (first or now).weights:
        yield "Started from", weights.rpartition("/")[2]
    yield "State", _state(record)
    if now.data.get("train"):
        yield "Training data", "; ".join(map(_dataset, now.data["train"]))
    seed = f", seed {now.seed}" if now.seed >= 0 else ""
    workers = f"{now.workers} x " if now.workers > 1 else ""
    yield "Machine", f"{workers}{now.device_name}, {now.precision}{seed}"
    yield "Versions", ", ".join(f"{name} {number}" for name, number in now.versions.items())


def _state(record: RunRecord) -> str:
    outcome = record.last.outcome
    if not outcome or outcome.status == RunStatus.RUNNING:
        state = f"started on {record.last.started[:10]}, no end was written"
    else:
        state = f"{outcome.status} on {outcome.ended[:10]}"
    if outcome and outcome.reason:
        state = f"{state}: {outcome.reason}"
    if resumed := len(record.starts) - 1:
        state = f"{state}; resumed {'once' if resumed == 1 else f'{resumed} times'}"
    if outcome and outcome.best:
        best = outcome.best
        state = (
            f"{state}; best {best['metric']} {best['value']:.1f}, iteration {best['iteration']:,}"
        )
    return state


def _dataset(one: dict[str, Any]) -> str:
    images = "" if one["images"] is None else f", {one['images']:,} images"
    return f"{one['name']}{images}, {one['classes']} classes"
