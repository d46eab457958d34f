"""A data set looked at as a whole, and mended as far as that is certain."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from detectron2.data import MetadataCatalog

from solo.config.choices import AnnotationFormat
from solo.data.checks import check_records
from solo.data.document import Document, normalise
from solo.data.document_check import check_document
from solo.data.findings import Finding, Kind
from solo.data.formats.registry import read_annotations
from solo.data.kept_records import load_records, may_leave_folder
from solo.data.repair import list_changes, repair
from solo.files import write_text
from solo.images import MAX_PIXELS
from solo.terminal import how_many

# Images that nothing is read of.
_UNREAD = (Kind.MISSING_IMAGE, Kind.UNREADABLE_IMAGE, Kind.WRONG_SIZE, Kind.EXIF)
# What loads, but teaches nothing.
_USELESS = (Kind.BOXES_ONLY, Kind.ALL_CROWDS)


class Look(NamedTuple):
    """How images are looked at: see `check_contents`."""

    read_images: bool = False
    max_pixels: int = MAX_PIXELS


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

    def without(self, kind: Kind) -> "Checked":
        """Return it without the findings of a kind, for those whom they do not hinder."""
        return replace(self, findings=[one for one in self.findings if one.kind is not kind])

    @property
    def errors(self) -> int:
        """How many things have to be mended."""
        return sum(finding.kind.is_error for finding in self.findings)


def check_file(
    name: str, path: str, folder: str, form: str, look: Look, *, leave_folder: bool = False
) -> Checked:
    """Check annotations of any format under the name of their data set."""
    document = normalise(read_annotations(path, folder, form), folder, leave_folder=leave_folder)
    findings = check_document(document, folder, **look._asdict())
    return Checked.of(name, document, findings, (path, folder, form))


def check_known(name: str, look: Look) -> Checked:
    """Check a registered data set: the file itself, where there is one.

    Raises:
        UserError: It cannot be loaded.
        OSError: A file cannot be read.
    """
    metadata = MetadataCatalog.get(name)
    path = metadata.get("json_file") or metadata.get("annotation_file")
    # The file itself, where there is one: what is broken in it may stop those who load it.
    if path and metadata.get("evaluator_type") == "coco" and Path(path.partition(":")[0]).exists():
        form = metadata.get("annotation_format", AnnotationFormat.COCO)
        files = path, metadata.image_root, form
        return check_file(name, *files, look, leave_folder=may_leave_folder(name))
    records = load_records(name)
    classes = metadata.get("thing_classes", ())
    findings = check_records(records, len(classes), **look._asdict())
    kept = sum(len(record.get("annotations", ())) for record in records)
    return Checked(name, findings, len(records), kept)


def mend(checked: Checked, out: str) -> list[str]:
    """Write a mended copy of a file; return what was changed, and how far the copy can be used.

    Raises:
        OSError: It cannot be written.
    """
    files = checked.annotations, checked.folder, checked.form
    raw, changes = repair(read_annotations(*files), checked.folder, checked.findings)
    if not changes:
        return [f"{out} is not written: nothing can be mended without a doubt"]
    removed = sum(len(places) for what, places in changes.items() if what.startswith("removed"))
    given = raw.get("annotations")
    if isinstance(given, list) and removed > len(given):
        return [f"{out} is not written: {removed:,} annotations, most of them, would be removed"]
    lines = list_changes(changes)
    info = raw.get("info")
    raw["info"] = {**(info if isinstance(info, dict) else {}), "mended": lines}
    write_text(json.dumps(raw), out)
    copy = check_file(out, out, checked.folder, AnnotationFormat.COCO, Look(), leave_folder=True)
    return [f"{out} is written:", *(f"    {line}" for line in lines), f"{out}: {verdict(copy)}"]


def verdict(checked: Checked) -> str:
    """Return in how far a data set can be used."""
    errors, kept, lost = checked.errors, checked.kept, checked.lost
    said = how_many(errors, "error") if errors else "no errors"
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
