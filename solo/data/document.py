"""THE reading of annotations: whatever people have becomes records that train and evaluate, and findings.

Check, loader, survey, mapper and evaluation see what is made here, and nothing of the file. Formats hand in
a raw document in COCO's shape; every oddity of a value is judged here, once, for all of them.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectron2.structures import BoxMode

from solo.data.findings import Effect, Finding, Kind, duplicates, shown
from solo.data.identities import Identity, as_identity, find_identity, order_of
from solo.data.mask_forms import BrokenMaskError, Mask, read_masks, short_polygons
from solo.data.plain_values import (
    box_of,
    crowd_of,
    file_name_of,
    number_of,
    problem_of_box,
    side_of,
)
from solo.data.reading import READ_ERRORS
from solo.images import image_size

Raw = dict[str, Any]
"""Lists of `images`, `categories` and `annotations`, as COCO's format has them; anything may be wrong."""

# pycocotools counts pixels in 32 bits.
_MOST_PIXELS = 2**31 - 1


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
    reader = _Images(str(image_root), leave_folder, findings)
    records = reader.read(_entries(raw, "images", findings))
    annotations = _Annotations(records, category_ids, findings)
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
            findings.append(_lacking("categories", index, entry, missing, Effect.STOPS))
        elif names.setdefault(number, str(name)) != str(name):
            detail = f"{number!r} is taken already by {names[number]}"
            findings.append(Finding(Kind.DUPLICATE_CLASS, detail, effect=Effect.STOPS))
    findings += duplicates(Kind.DUPLICATE_CLASS, [(name, "") for name in names.values()])
    ids = sorted(names, key=order_of)
    return [names[number] for number in ids], ids


class _Images:
    """Reads the entries of images."""

    def __init__(self, root: str, leave_folder: bool, findings: list[Finding]) -> None:
        self._root, self._leave_folder, self._findings = root, leave_folder, findings

    def read(self, entries: Iterator[tuple[int, Raw]]) -> dict[Identity, dict[str, Any]]:
        """Return a record for each image, by its id."""
        records: dict[Identity, dict[str, Any]] = {}
        names: dict[Identity, str] = {}
        for index, entry in entries:
            number, name = as_identity(entry.get("id")), file_name_of(entry.get("file_name"))
            if number is None or not name:
                missing = "id" if number is None else "file_name"
                self._tell(_lacking("images", index, entry, missing, Effect.STOPS))
                continue
            if number in names:
                detail = f"{number!r} is taken already by {names[number]}"
                self._tell(Finding(Kind.DUPLICATE_IMAGE_ID, detail, name, effect=Effect.STOPS))
            path = self._path(name)
            if path and (size := self._size(index, entry, path)):
                names[number] = name
                records[number] = {
                    "file_name": path,
                    "image_id": number,
                    "height": size[0],
                    "width": size[1],
                    "annotations": [],
                }
        self._findings += duplicates(
            Kind.DUPLICATE_FILE_NAME, zip(names.values(), names.values(), strict=True)
        )
        return records

    def _tell(self, finding: Finding) -> None:
        self._findings.append(finding)

    def _path(self, name: str) -> str:
        """Return where an image is; empty if it leads out of the folder."""
        path = os.path.join(self._root, name)
        if "\\" in name and not os.path.exists(path):
            path = os.path.join(self._root, name.replace("\\", "/"))
        inside = os.path.relpath(path, self._root or ".")
        if not self._leave_folder and inside.split(os.sep)[0] == os.pardir:
            detail = f"it leads out of the image folder {self._root}"
            self._tell(Finding(Kind.OUTSIDE_FOLDER, detail, name, effect=Effect.STOPS))
            return ""
        return path

    def _size(self, index: int, entry: Raw, path: str) -> tuple[int, int] | None:
        """Return (H, W): of the entry, or where it has none, of the file's header."""
        given = [entry.get("height"), entry.get("width")]
        if given == [None, None]:
            try:
                return image_size(path)[::-1]
            except READ_ERRORS as error:
                detail = f"{error}; and images[{index}] has no height and width"
                self._tell(Finding(Kind.UNREADABLE_IMAGE, detail, path, effect=Effect.LEFT_OUT))
                return None
        height, width = map(side_of, given)
        if height and width and height * width <= _MOST_PIXELS:
            return height, width
        missing = "width" if height else "height"
        if height and width:
            missing = "height" if height > width else "width"
        self._tell(_lacking("images", index, entry, missing, Effect.STOPS))
        return None


class _Annotations:
    """Reads the entries of annotations into the records of their images."""

    def __init__(
        self,
        records: dict[Identity, dict[str, Any]],
        category_ids: Sequence[Identity],
        findings: list[Finding],
    ) -> None:
        self._records = records
        self._channels = {number: channel for channel, number in enumerate(category_ids)}
        self._findings = findings

    def read(self, entries: Iterator[tuple[int, Raw]]) -> None:
        """Add to each record its annotations."""
        placed = [one for index, entry in entries if (one := self._place(index, entry))]
        segmentations = [entry.get("segmentation") for _, entry, _, _ in placed]
        sizes = [(record["height"], record["width"]) for _, _, record, _ in placed]
        masks = read_masks(segmentations, sizes)
        numbers = []
        for (number, entry, record, channel), mask in zip(placed, masks, strict=True):
            numbers.append((number, record["file_name"]))
            self._add(number, entry, record, channel, mask)
        self._findings += duplicates(Kind.DUPLICATE_ANNOTATION_ID, numbers)
        self._findings += relative_coordinates(self._records.values())

    def _place(self, index: int, entry: Raw) -> tuple[Identity, Raw, dict[str, Any], int] | None:
        """Return an entry with its own id, the record of its image, and its channel; None if it has none."""
        own = as_identity(entry.get("id"))
        own = index if own is None else own
        if as_identity(entry.get("image_id")) is None:
            self._leave_out(_lacking("annotations", index, entry, "image_id", Effect.LEFT_OUT))
            return None
        record = find_identity(self._records, entry["image_id"])
        if record is None:
            detail = f"no image has the id {entry['image_id']!r}"
            self._leave_out(Finding(Kind.UNKNOWN_IMAGE, detail, "", own, Effect.LEFT_OUT))
        channel = find_identity(self._channels, entry.get("category_id"))
        if channel is None:
            name = record["file_name"] if record else ""
            detail = f"no category has the id {shown(entry.get('category_id'))}"
            self._leave_out(Finding(Kind.UNKNOWN_CATEGORY, detail, name, own, Effect.STOPS))
        return None if record is None or channel is None else (own, entry, record, channel)

    def _leave_out(self, finding: Finding) -> None:
        self._findings.append(finding)

    def _add(
        self,
        number: Identity,
        entry: Raw,
        record: dict[str, Any],
        channel: int,
        mask: Mask | BrokenMaskError | None,
    ) -> None:
        def tell(kind: Kind, detail: str, effect: Effect = Effect.NONE) -> None:
            self._findings.append(Finding(kind, detail, record["file_name"], number, effect))

        if isinstance(mask, BrokenMaskError):
            tell(mask.kind, str(mask), Effect.LEFT_OUT)
            return
        annotation = {
            "id": number,
            "iscrowd": crowd_of(entry.get("iscrowd")),
            "category_id": channel,
            "bbox_mode": BoxMode.XYWH_ABS,
        }
        if annotation["iscrowd"] is None:
            tell(Kind.MISSING_FIELD, f"its iscrowd is {shown(entry['iscrowd'])}", Effect.LEFT_OUT)
            return
        if mask is not None:
            annotation["segmentation"] = mask
            is_part = isinstance(mask, list) and len(mask) < len(entry["segmentation"])
            if is_part and (problem := short_polygons(entry["segmentation"])):
                tell(Kind.BROKEN_POLYGON, problem)
        if entry.get("bbox"):
            if box := box_of(entry["bbox"]):
                annotation["bbox"] = box
            else:
                tell(Kind.BROKEN_BOX, problem_of_box(entry["bbox"]))
        if (area := number_of(entry.get("area"))) is not None and area >= 0:
            annotation["area"] = area
        record["annotations"].append(annotation)


def relative_coordinates(records: Any) -> Iterator[Finding]:
    """Yield one finding if all polygons lie within the first pixel: they are shares of the image."""
    polygons = 0
    for record in records:
        for item in record["annotations"]:
            mask = item.get("segmentation")
            if isinstance(mask, list):
                polygons += 1
                if max(part.max() for part in mask) > 1:
                    return
    if polygons:
        detail = f"the corners of all {polygons} polygons lie between 0 and 1"
        yield Finding(Kind.RELATIVE, detail, effect=Effect.STOPS)


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


def _lacking(section: str, index: int, entry: Any, key: str, effect: Effect) -> Finding:
    if not isinstance(entry, dict):
        return Finding(
            Kind.MISSING_FIELD, f"{section}[{index}] is no object: {shown(entry)}", effect=effect
        )
    given = f"the {key} {shown(entry[key])}" if key in entry else f"no {key}"
    name = str(entry.get("file_name", ""))[:200]
    return Finding(Kind.MISSING_FIELD, f"{section}[{index}] has {given}", name, effect=effect)
