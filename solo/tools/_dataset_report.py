"""What the check of a data set tells: for people, and for machines."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from solo.data.document import Document
from solo.data.findings import Effect, Finding, Kind

_EFFECTS = {
    Effect.NONE: "",
    Effect.GUESSED: "Read as it is meant. ",
    Effect.LEFT_OUT: "Left out. ",
    Effect.STOPS: "The data set is refused. ",
}
# Images that nothing is read of.
_UNREAD = (Kind.MISSING_IMAGE, Kind.UNREADABLE_IMAGE, Kind.WRONG_SIZE, Kind.EXIF)
# What loads, but teaches nothing.
_USELESS = (Kind.BOXES_ONLY, Kind.ALL_CROWDS)
_ORDER = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Checked:
    """A data set that was checked.

    Attributes:
        name: Of the data set, or its file.
        findings: What is wrong with it.
        images: How many it has.
        kept: How many annotations are used.
        lost: How many are left out.
        is_refused: Whether it cannot be loaded.
        annotations: Their path; empty if there is none.
        folder: Of the images.
        form: Of the annotations, a word of AnnotationFormat.
    """

    name: str
    findings: Sequence[Finding]
    images: int
    kept: int
    lost: int = 0
    is_refused: bool = False
    annotations: str = ""
    folder: str = ""
    form: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        document: Document,
        findings: Sequence[Finding],
        files: tuple[str, str, str],
    ) -> "Checked":
        """Return what was found of a document, which was read from a path, an image folder and a format."""
        counts = len(document.records), document.kept, document.lost, document.is_refused
        return cls(name, findings, *counts, *files)

    @property
    def errors(self) -> int:
        """How many things have to be mended."""
        return sum(finding.kind.is_error for finding in self.findings)


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


def verdict(checked: Checked) -> str:
    """Return in how far a data set can be used."""
    errors, kept, lost = checked.errors, checked.kept, checked.lost
    said = f"{errors:,} error{'s' if errors != 1 else ''}" if errors else "no errors"
    if checked.is_refused and kept < lost:
        return (
            f"{said}; it is refused, since only {kept:,} of {kept + lost:,} annotations can be used"
        )
    if checked.is_refused:
        return f"{said}; it is refused as it is"
    if any(finding.kind in _USELESS for finding in checked.findings):
        return f"{said}; training refuses it as it is"
    if not kept:
        return f"{said}; there are no annotations of its {checked.images:,} images"
    if unread := sum(one.count for one in checked.findings if one.kind in _UNREAD):
        return f"{said}; {unread:,} of {checked.images:,} images cannot be used as they are"
    if lost:
        return f"{said}; {kept:,} of {kept + lost:,} annotations are used, {lost:,} left out"
    return f"{said}; all {kept:,} annotations of {checked.images:,} images are used"


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
