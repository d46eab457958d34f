"""The numbers that an evaluation ends with, as a file."""

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

from solo.data import load_records
from solo.files import write_text


def write_results(
    results: Mapping[str, Mapping[str, float]],
    path: str,
    *,
    model: Mapping[str, str],
    dataset: str,
    num_images: int | None,
    versions: Mapping[str, str],
) -> None:
    """Write the tables of an evaluation as json, and what they are of.

    Args:
        results: `{task: {metric: value}}`, in percent; what is not a number becomes null.
        path: The file. "-": standard output.
        model: What names the model.
        dataset: As registered with detectron2.
        num_images: So many images were looked at. None: all.
        versions: Of what the numbers depend on.

    Raises:
        OSError: It cannot be written.
    """
    there = len(load_records(dataset))
    document: dict[str, Any] = {
        **{task: {name: _plain(table[name]) for name in table} for task, table in results.items()},
        "dataset": dataset,
        "images": there if num_images is None else min(num_images, there),
        "model": dict(model),
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": dict(versions),
    }
    text = json.dumps(document, indent=1)
    if path == "-":
        print(text)
    else:
        write_text(text, path)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
