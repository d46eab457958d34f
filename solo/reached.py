"""What the evaluations of a run gave so far, and after how many steps, as its metrics.json has it."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple


class Reached(NamedTuple):
    """An evaluation."""

    iteration: int  # steps that were taken until then
    metrics: dict[str, float]  # finite ones, of all classes together


def evaluations(path: Path) -> list[Reached]:
    """Return the evaluations in a metrics.json, in their order; none where it cannot be read."""
    found = []
    for line, taken in _counted(path):
        metrics = {name: line[name] for name in line if is_result(name)}
        finite = {name: value for name, value in metrics.items() if is_finite(value)}
        found.append(Reached(taken, finite))
    return found


def steps_taken(path: Path) -> dict[int, int]:
    """Return the steps that were taken until an evaluation, by the iteration of its line in metrics.json."""
    return {line["iteration"]: taken for line, taken in _counted(path)}


def _counted(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each line of an evaluation, with the steps that were taken until then.

    That at the end of a training has the number of the step that would come next, others of the last one. It
    follows the last step, which is logged always, as steps before another evaluation need not be.
    """
    lines = [*logged_lines(path)]
    newest = max((n for n, line in enumerate(lines) if "total_loss" in line), default=-1)
    last_step = -2
    for number, line in enumerate(lines):
        step: int = line["iteration"]
        if "total_loss" in line:
            last_step = step
        if any(map(is_result, line)):
            is_end = number > newest or step == last_step + 1
            yield line, step if is_end else step + 1


def best_metric(datasets: Sequence[str], tasks: Sequence[str] = ("segm",), chosen: str = "") -> str:
    """Return the name of the AP that chooses the best checkpoint: of masks, else boxes, on the first data set.

    Args:
        datasets: Names of those that are evaluated on.
        tasks: That they are evaluated by.
        chosen: TEST.BEST_METRIC, which goes before if its task is among them. Empty: none.
    """
    metric = "segm/AP" if "segm" in tasks else "bbox/AP"
    if chosen.partition("/")[0] in tasks:
        metric = chosen
    return f"{datasets[0]}/{metric}" if len(datasets) > 1 else metric


def metric_of(found: Sequence[Reached], datasets: Sequence[str], chosen: str = "") -> str:
    """Return the name of the AP that chooses the best checkpoint, by what the evaluations of a run measured.

    `chosen` is TEST.BEST_METRIC.
    """
    order = dict.fromkeys([chosen.partition("/")[0] or "segm", "segm", "bbox"])
    names = [best_metric(datasets, [task], chosen) for task in order]
    return next((name for name in names if best_of(found, name)), names[0])


def best_of(found: Sequence[Reached], metric: str) -> Reached | None:
    """Return the evaluation of the highest value, the first of several; None if none has any."""
    having = [item for item in found if metric in item.metrics]
    return max(having, key=lambda item: item.metrics[metric], default=None)


def logged_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what metrics.json has, without a line that a kill cut off."""
    text = ""
    with suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines():
        with suppress(json.JSONDecodeError):
            content = json.loads(line)
            if isinstance(content, dict) and isinstance(content.get("iteration"), int):
                yield content


def is_result(name: str) -> bool:
    """Tell whether a logged number is of an evaluation, and not of one class only."""
    task, _, metric = name.rpartition("/")
    return bool(task) and not name.startswith("targets/") and "-" not in metric


def is_finite(value: float | None) -> bool:
    """Tell whether there is a number."""
    return value is not None and math.isfinite(value)
