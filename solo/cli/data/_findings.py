"""What the check of a data set tells: for people, and for machines."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from solo.data.checkup import Checked, verdict
from solo.data.findings import Effect, Finding, Kind

_EFFECTS = {
    Effect.NONE: "",
    Effect.GUESSED: "Read as it is meant. ",
    Effect.LEFT_OUT: "Left out. ",
    Effect.STOPS: "The data set is refused. ",
}
_ORDER = {kind: number for number, kind in enumerate(Kind)}


def report(checked: Checked, first: int) -> str:
    """Return what to tell the user about a data set: the worst first, the verdict last.

    Args:
        checked: The data set.
        first: How many of each kind to list.
    """
    groups: dict[Kind, list[Finding]] = {}
    for finding in checked.findings:
        groups.setdefault(finding.kind, []).append(finding)
    lines = [f"{checked.name}, images in {checked.folder}"] if checked.folder and groups else []
    for kind, findings in sorted(groups.items(), key=lambda item: _severity(*item)):
        total = sum(finding.count for finding in findings)
        lines.append(f"{'error' if kind.is_error else 'note'}: {kind.title}: {total:,}")
        lines += _places(findings[:first], checked.folder)
        if len(findings) > first:
            lines.append(f"    ... and {len(findings) - first:,} more")
        effects = {finding.effect for finding in findings}
        effect = _EFFECTS[effects.pop()] if len(effects) == 1 else ""
        lines.append(f"  {effect}{kind.advice}")
    return "\n".join([*lines, f"{checked.name}: {verdict(checked)}"])


def rows(checked: Checked) -> Iterator[dict[str, Any]]:
    """Yield what is wrong with a data set, for json."""
    for finding in checked.findings:
        yield {
            "dataset": checked.name,
            "kind": finding.kind.title,
            "is_error": finding.kind.is_error,
            "effect": finding.effect.name.lower(),
            "file_name": finding.file_name,
            "annotation_id": finding.annotation_id,
            "count": finding.count,
            "detail": finding.detail,
            "advice": finding.kind.advice,
        }


def _severity(kind: Kind, findings: Sequence[Finding]) -> tuple[bool, int, int]:
    worst = max(finding.effect.value for finding in findings)
    return not kind.is_error, -worst, _ORDER[kind]


def _places(findings: Sequence[Finding], folder: str) -> Iterator[str]:
    """Yield a line for each finding; what one shares with the one before is not said again."""
    detail = ""
    for finding in findings:
        name = finding.file_name
        if folder and name.startswith(start := os.path.join(folder, "")):
            name = name.removeprefix(start)
        same = finding.detail == detail and str(finding) != detail
        yield f"    {replace(finding, file_name=name, detail='the same' if same else finding.detail)}"
        detail = finding.detail
