"""THE reading of annotations: whatever people have becomes records that train and evaluate, and findings.

Check, loader, survey, mapper and evaluation see what is made here, and nothing of the file. Formats hand in
a raw document in COCO's shape; every oddity of a value is judged here, once, for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from solo.data.annotation_reader import AnnotationReader
from solo.data.findings import Effect, Finding, Kind, duplicates, lacking, shown
from solo.data.identities import Identity, as_identity, order_of
from solo.data.image_reader import ImageReader

Raw = dict[str, Any]
"""Lists of `images`, `categories` and `annotations`, as COCO's format has them; anything may be wrong."""


@dataclass(frozen=True)
class Document:
    """What a file of annotations says.

    Attributes:
        records: In detectron2's standard format, in the order of the image ids. `image_id` and the `id`
            of an annotation are the file's own, `category_id` is the class channel. A mask is a list
            of float64 arrays or a compressed RLE; `bbox` and `area` are there where the file has them.
        class_names: By channel.
        category_ids: The file's own, by channel.
        findings: What is wrong, and what became of it.
    """

    records: list[dict[str, Any]]
    class_names: list[str]
    category_ids: list[Identity]
    findings: list[Finding] = field(default_factory=list)

    def with_effect(self, effect: Effect) -> list[Finding]:
        """Return the findings of one effect."""
        return [finding for finding in self.findings if finding.effect is effect]

    @property
    def kept(self) -> int:
        """How many annotations are used."""
        return sum(len(record.get("annotations", ())) for record in self.records)

    @property
    def lost(self) -> int:
        """How many annotations are left out."""
        lost = self.with_effect(Effect.LEFT_OUT)
        return sum(finding.kind is not Kind.UNREADABLE_IMAGE for finding in lost)

    @property
    def is_refused(self) -> bool:
        """Whether the data set is not to be used, since a finding stops or most of it is left out."""
        return self.kept < self.lost or bool(self.with_effect(Effect.STOPS))


def normalise(raw: Raw, image_root: Path | str, *, leave_folder: bool = False) -> Document:
    """Read a raw document.

    Args:
        raw: In COCO's shape.
        image_root: The folder that file names are relative to.
        leave_folder: Whether file names may lead out of it.

    Returns:
        The document. With findings that stop, its records are not to be used.
    """
    findings = list(_missing_sections(raw))
    class_names, category_ids = read_classes(raw.get("categories"), findings)
    reader = ImageReader(str(image_root), leave_folder, findings)
    records = reader.read(_entries(raw, "images", findings))
    annotations = AnnotationReader(records, category_ids, findings)
    if "annotations" in raw:
        annotations.read(_entries(raw, "annotations", findings))
    else:
        for record in records.values():  # images to predict on
            del record["annotations"]
    ordered = sorted(records.values(), key=lambda record: order_of(record["image_id"]))
    return Document(ordered, class_names, category_ids, findings)


def read_classes(entries: Any, findings: list[Finding]) -> tuple[list[str], list[Identity]]:
    """Return the names and ids of categories, in the order of the ids, and tell what is wrong."""
    names: dict[Identity, str] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        number = as_identity(entry.get("id")) if isinstance(entry, dict) else None
        name = as_identity(entry.get("name")) if isinstance(entry, dict) else None
        if number is None or name is None:
            missing = "id" if number is None else "name"
            findings.append(lacking("categories", index, entry, missing, Effect.STOPS))
        elif names.setdefault(number, str(name)) != str(name):
            detail = f"{shown(number)} is taken already by {shown(names[number])}"
            findings.append(Finding(Kind.DUPLICATE_CLASS, detail, effect=Effect.STOPS))
    findings += duplicates(Kind.DUPLICATE_CLASS, [(name, "") for name in names.values()])
    ids = sorted(names, key=order_of)
    return [names[number] for number in ids], ids


def _missing_sections(raw: Raw) -> Iterator[Finding]:
    for section in ("images", "categories", "annotations"):
        value = raw.get(section)
        if section == "annotations" and section not in raw:
            continue  # images to predict on
        if not isinstance(value, list) or (not value and section != "annotations"):
            detail = f"the file has no list of {section}"
            yield Finding(Kind.MISSING_FIELD, detail, effect=Effect.STOPS)


def _entries(raw: Raw, section: str, findings: list[Finding]) -> Iterator[tuple[int, Raw]]:
    """Yield the entries of a list, with their places."""
    value = raw.get(section)
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, dict):
            yield index, entry
        else:
            effect = Effect.LEFT_OUT if section == "annotations" else Effect.STOPS
            detail = f"{section}[{index}] is no object: {shown(entry)}"
            findings.append(Finding(Kind.MISSING_FIELD, detail, effect=effect))
