"""A document checked as a whole: what each of its parts has, what it has all in all, and why."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from solo.data.causes import name_causes
from solo.data.checks import check_contents
from solo.data.document import Document
from solo.data.findings import Effect, Finding, Kind
from solo.images import MAX_PIXELS

# Names of classes in a sentence.
_FEW = 10


def check_document(
    document: Document,
    image_root: Path | str,
    *,
    read_images: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> list[Finding]:
    """Check a document with its images.

    Args:
        document: As it was read.
        image_root: The folder that file names are relative to.
        read_images: Whether to decode each image, not only the header of its file.
        max_pixels: See `solo.images.read_image`.

    Returns:
        What is wrong; empty if nothing is.
    """
    contents = check_contents(document.records, read_images=read_images, max_pixels=max_pixels)
    findings = [*document.findings, *contents]
    findings += _classes(document)
    for record in document.records:
        findings += _objects_twice(record)
    return name_causes(findings, document.records, str(image_root))


def _classes(document: Document) -> Iterator[Finding]:
    items = [item for record in document.records for item in record.get("annotations", ())]
    objects = Counter(item["category_id"] for item in items if not item["iscrowd"])
    if items and not objects:
        detail = f"all {len(items)} annotations are crowds: there is nothing to learn from"
        yield Finding(Kind.ALL_CROWDS, detail, count=len(items))
        return
    if document.with_effect(Effect.LEFT_OUT):
        return  # what is left out may be of these classes
    unused = [name for channel, name in enumerate(document.class_names) if channel not in objects]
    if items and unused:
        more = f" and {len(unused) - _FEW} more" if len(unused) > _FEW else ""
        names = ", ".join(name[:60] for name in unused[:_FEW])
        detail = f"{len(unused)} of {len(document.class_names)} classes: {names}{more}"
        yield Finding(Kind.UNUSED_CLASS, detail, count=len(unused))


def _objects_twice(record: dict[str, Any]) -> Iterator[Finding]:
    seen: dict[Any, Any] = {}
    for item in record.get("annotations", ()):
        mask = item.get("segmentation")
        if mask is None or item["iscrowd"]:
            continue
        drawn = tuple(map(bytes, mask)) if isinstance(mask, list) else mask["counts"]
        key = item["category_id"], drawn
        if key in seen:
            detail = f"it has the class and the mask of annotation {seen[key]!r:.60}"
            yield Finding(Kind.DUPLICATE_OBJECT, detail, record["file_name"], item["id"])
        seen.setdefault(key, item["id"])
