"""Tables for people and json for programs, with what is needed to do a measurement again."""

import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tabulate import tabulate

from solo.files import write_text
from solo.layers import cpu


class Report(NamedTuple):
    """What a benchmark found.

    Attributes:
        headers: Of the columns.
        rows: Of numbers and texts; the fields of a row have names.
        timed: What the numbers are of, in a sentence or two.
    """

    headers: Sequence[str]
    rows: Sequence[Any]
    timed: str

    def table(self) -> str:
        """Return it for people."""
        rows = [["-" if value is None else value for value in row] for row in self.rows]
        return f"{tabulate(rows, self.headers, floatfmt='.2f')}\n\n{self.timed}"


def write_json(report: Report, path: str | Path) -> None:
    """Write a report, and where it comes from.

    Raises:
        OSError: If the file cannot be written.
    """
    document = {
        **provenance(),
        "timed": report.timed,
        "rows": [row._asdict() for row in report.rows],
    }
    write_text(json.dumps(document, indent=1), Path(path))


def provenance() -> dict[str, Any]:
    """Return the date, the commit, the command and the machine."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "cpu": cpu.name(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


@lru_cache(maxsize=1)
def commit() -> str | None:
    """Return git's description of the sources when first asked, "-dirty" at its end if they were changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
