"""Reads the annotations of a raw document into the records of their images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from detectron2.structures import BoxMode

from solo.data.findings import Effect, Finding, Kind, duplicates, lacking, shown
from solo.data.identities import Identity, as_identity, find_identity
from solo.data.mask_forms import BrokenMaskError, Mask, read_masks, short_polygons
from solo.data.plain_values import box_of, crowd_of, number_of, problem_of_box, size_of

_Value = TypeVar("_Value")


class AnnotationReader:
    """Reads the entries of annotations into the records of their images."""

    def __init__(
        self,
        records: dict[Identity, dict[str, Any]],
        category_ids: Sequence[Identity],
        findings: list[Finding],
    ) -> None:
        """Take where to put what is read, and what is found."""
        self._records = records
        self._channels = {number: channel for channel, number in enumerate(category_ids)}
        self._findings = findings
        # By field: ids that are text where those that they mean are numbers, or the reverse.
        self._mixed: dict[str, list[Identity]] = {}

    def read(self, entries: Iterator[tuple[int, dict[str, Any]]]) -> None:
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
        self._findings += _relative_coordinates(self._records.values())
        self._findings += self._mixed_ids()

    def _place(
        self, index: int, entry: dict[str, Any]
    ) -> tuple[Identity, dict[str, Any], dict[str, Any], int] | None:
        """Return an entry with its own id, the record of its image, and its channel; None if it has none."""
        own = as_identity(entry.get("id"))
        own = index if own is None else own
        if as_identity(entry.get("image_id")) is None:
            self._leave_out(lacking("annotations", index, entry, "image_id", Effect.LEFT_OUT))
            return None
        record = self._find(self._records, entry, "image_id")
        if record is None:
            detail = f"no image has the id {shown(entry['image_id'])}"
            self._leave_out(Finding(Kind.UNKNOWN_IMAGE, detail, "", own, Effect.LEFT_OUT))
        channel = self._find(self._channels, entry, "category_id")
        if channel is None:
            name = record["file_name"] if record else ""
            detail = f"no category has the id {shown(entry.get('category_id'))}"
            self._leave_out(Finding(Kind.UNKNOWN_CATEGORY, detail, name, own, Effect.STOPS))
        return None if record is None or channel is None else (own, entry, record, channel)

    def _find(
        self, known: Mapping[Identity, _Value], entry: dict[str, Any], field: str
    ) -> _Value | None:
        """Return what an entry refers to, and remember ids that are written in another way there."""
        number = as_identity(entry.get(field))
        if number is None:
            return None
        if number in known:
            return known[number]
        found = find_identity(known, number)
        if found is not None:
            self._mixed.setdefault(field, []).append(number)
        return found

    def _mixed_ids(self) -> Iterator[Finding]:
        for field, numbers in self._mixed.items():
            kinds = ("text", "numbers") if isinstance(numbers[0], str) else ("numbers", "text")
            section = {"image_id": "images", "category_id": "categories"}[field]
            detail = (
                f"the {field} of {len(numbers)} annotations is written as {kinds[0]}, "
                f"{numbers[0]!r:.60}, and in {section} as {kinds[1]}"
            )
            yield Finding(Kind.MIXED_IDS, detail, effect=Effect.GUESSED, count=len(numbers))

    def _leave_out(self, finding: Finding) -> None:
        self._findings.append(finding)

    def _add(
        self,
        number: Identity,
        entry: dict[str, Any],
        record: dict[str, Any],
        channel: int,
        mask: Mask | BrokenMaskError | None,
    ) -> None:
        def tell(kind: Kind, detail: str, effect: Effect = Effect.NONE) -> None:
            self._findings.append(Finding(kind, detail, record["file_name"], number, effect))

        if isinstance(mask, BrokenMaskError):
            size, place = size_of(entry["segmentation"]), (record["file_name"], number)
            other = size if size != (record["height"], record["width"]) else None
            self._leave_out(Finding(mask.kind, str(mask), *place, Effect.LEFT_OUT, other))
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
        if isinstance(mask, list):
            self._tell_of_polygons(entry["segmentation"], len(mask), tell)
        if entry.get("bbox"):
            if box := box_of(entry["bbox"]):
                annotation["bbox"] = box
            elif mask is None and not annotation["iscrowd"]:  # there is nothing else of it
                tell(Kind.BROKEN_BOX, problem_of_box(entry["bbox"]), Effect.LEFT_OUT)
                return
            else:
                tell(Kind.BROKEN_BOX, problem_of_box(entry["bbox"]))
        if (area := number_of(entry.get("area"))) is not None and area >= 0:
            annotation["area"] = area
        record["annotations"].append(annotation)

    @staticmethod
    def _tell_of_polygons(given: list[Any], count: int, tell: Callable[..., None]) -> None:
        if isinstance(given[0], int | float):
            detail = f"its segmentation is {len(given)} numbers: they are read as one polygon"
            tell(Kind.FLAT_POLYGON, detail, Effect.GUESSED)
        elif count < len(given) and (problem := short_polygons(given)):
            tell(Kind.BROKEN_POLYGON, problem)


def _relative_coordinates(records: Iterable[dict[str, Any]]) -> Iterator[Finding]:
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
        yield Finding(Kind.RELATIVE, detail, effect=Effect.STOPS, count=polygons)
