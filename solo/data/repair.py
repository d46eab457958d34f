"""A repaired copy of a file of annotations: what is certain is mended, all else stays as it is."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from solo.data.bounds import agree, far_corner, mask_bounds
from solo.data.checks import check_shapes
from solo.data.document import Document, Raw, normalise
from solo.data.findings import Effect, Finding, Kind
from solo.data.identities import as_identity, find_identity
from solo.data.mask_forms import Mask
from solo.data.mended_entry import ReadEntry, mend_entry
from solo.data.plain_values import side_of, with_slashes

Move = Callable[[np.ndarray, tuple[int, int]], np.ndarray]

_FEW = 5  # places in a line of the list of changes
# They depend on the size of the image: where that is in doubt, nothing is certain.
_OF_SIZE = {Kind.BROKEN_RLE, Kind.EMPTY_MASK, Kind.OUTSIDE, Kind.WRONG_BOX}


def repair(
    raw: Raw, image_root: Path | str, findings: Sequence[Finding]
) -> tuple[Raw, dict[str, list[Any]]]:
    """Mend what is certain.

    Args:
        raw: In COCO's shape; it stays as it is.
        image_root: The folder that file names are relative to.
        findings: What the check has found.

    Returns:
        The mended document, and what was changed: the ids of the annotations, or the names of the
        images, by what was done to them.
    """
    repairer = _Repairer(raw, image_root, findings)
    repairer.mend_images()
    repairer.mend_causes({(finding.kind, finding.effect) for finding in findings})
    repairer.mend_annotations()
    repairer.number_anew()
    return repairer.raw, repairer.changes


def list_changes(changes: dict[str, list[Any]]) -> list[str]:
    """Return a line for each thing that was done, with the first few places."""
    lines = []
    for what, places in changes.items():
        some = ", ".join(f"{place!s:.60}" for place in places[:_FEW])
        more = f" and {len(places) - _FEW:,} more" if len(places) > _FEW else ""
        lines.append(f"{what}: {some}{more}")
    return lines


class _Repairer:
    """The document on its way."""

    def __init__(self, raw: Raw, image_root: Path | str, findings: Sequence[Finding]) -> None:
        """Copy the entries, whose values are replaced and never changed."""
        self.raw = {
            key: [dict(entry) if isinstance(entry, dict) else entry for entry in value]
            if key in ("images", "annotations") and isinstance(value, list)
            else value
            for key, value in raw.items()
        }
        self.changes: dict[str, list[Any]] = {}
        self._root = image_root
        self._redrawn: set[int] = set()
        images = [entry for entry in self._entries("images") if isinstance(entry, dict)]
        numbers = [as_identity(entry.get("id")) for entry in images]
        self._image_ids = Counter(number for number in numbers if number is not None)
        in_doubt = (Kind.WRONG_SIZE, Kind.EXIF)
        self._in_doubt = {one.file_name for one in findings if one.kind in in_doubt}
        self._all_in_doubt = any(
            one.kind is Kind.ANOTHER_SIZE
            or (one.kind is Kind.EXCHANGED_SIZE and one.effect is Effect.NONE)
            for one in findings
        )

    def mend_images(self) -> None:
        """Write sizes as numbers, and file names with slashes where only these are found."""
        for entry in self._entries("images"):
            name = entry.get("file_name") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            for side in ("height", "width"):
                number = side_of(entry.get(side))
                if number and isinstance(entry[side], str):
                    entry[side] = number
                    self._tell("sizes written as numbers", name)
            if (slashed := with_slashes(name, self._root)) != name:
                entry["file_name"] = slashed
                self._tell("file names written with slashes", name)

    def mend_causes(self, causes: set[tuple[Kind, Effect]]) -> None:
        """Mend what is wrong with all masks in the same way."""
        if (Kind.RELATIVE, Effect.STOPS) in causes:
            self._move("corners between 0 and 1 multiplied by the size of the image", _to_pixels)
        if (Kind.EXCHANGED, Effect.NONE) in causes:
            self._move("x and y of the corners exchanged", _exchange)
        if (Kind.EXCHANGED_SIZE, Effect.LEFT_OUT) in causes:
            self._turn_sizes()

    def mend_annotations(self) -> None:
        """Write each as it was read, and remove those that cannot be used."""
        document, reads = self._read()
        lost = {
            one.annotation_id: one.kind
            for one in document.findings
            if one.effect is Effect.LEFT_OUT
            and one.kind is not Kind.UNKNOWN_IMAGE
            and not self._is_in_doubt(one)
        }
        kept = []
        for index, entry in enumerate(self._entries("annotations")):
            read = reads.get(index)
            kind = lost.get(index) or self._uselessness(entry, read)
            number = entry.get("id", index) if isinstance(entry, dict) else index
            if kind:
                self._tell(f"removed, {kind.title}", number)
                continue
            if read:
                category = document.category_ids[read.item["category_id"]]
                for what in mend_entry(entry, read, category, is_redrawn=index in self._redrawn):
                    self._tell(what, number)
            kept.append(entry)
        if isinstance(self.raw.get("annotations"), list):
            self.raw["annotations"] = kept

    def number_anew(self) -> None:
        """Give annotations whose id is taken, or is none, the next numbers that are free."""
        entries = [entry for entry in self._entries("annotations") if "id" in entry]
        numbers = [as_identity(entry["id"]) for entry in entries]
        free = max((number for number in numbers if isinstance(number, int)), default=0) + 1
        seen = set()
        for entry, number in zip(entries, numbers, strict=True):
            if number is None or number in seen:
                self._tell("annotations numbered anew", entry["id"])
                entry["id"], free = free, free + 1
            seen.add(number)

    def _entries(self, section: str) -> list[Any]:
        entries = self.raw.get(section)
        return entries if isinstance(entries, list) else []

    def _tell(self, what: str, place: Any) -> None:
        self.changes.setdefault(what, []).append(place)

    def _read(self) -> tuple[Document, dict[int, ReadEntry]]:
        """Read the document as it is now, each annotation with its place in the list as its id."""
        entries = [
            {**entry, "id": index} if isinstance(entry, dict) else entry
            for index, entry in enumerate(self._entries("annotations"))
        ]
        sections = {**self.raw, "annotations": entries} if entries else self.raw
        document = normalise(sections, self._root, leave_folder=True)
        self._in_doubt |= {
            record["file_name"]
            for record in document.records
            if self._image_ids[record["image_id"]] > 1
        }
        reads = {
            item["id"]: ReadEntry(item, record)
            for record in document.records
            for item in record.get("annotations", ())
        }
        shapes = [one for record in document.records for one in check_shapes(record)]
        for one in [*document.findings, *shapes]:
            if one.annotation_id in reads and not self._is_in_doubt(one):
                reads[one.annotation_id].kinds.add(one.kind)
        return document, reads

    def _is_in_doubt(self, finding: Finding) -> bool:
        of_this = self._all_in_doubt or finding.file_name in self._in_doubt
        return of_this and finding.kind in _OF_SIZE

    def _uselessness(self, entry: Any, read: ReadEntry | None) -> Kind | None:
        """Return why an annotation is to be removed, if it is."""
        if read:
            return Kind.EMPTY_MASK if Kind.EMPTY_MASK in read.kinds else None
        if not isinstance(entry, dict) or as_identity(entry.get("image_id")) is None:
            return Kind.MISSING_FIELD
        # Of an image that cannot be used it may be right.
        is_known = find_identity(self._image_ids, entry["image_id"])
        return None if is_known else Kind.UNKNOWN_IMAGE

    def _move(self, what: str, moved: Move) -> None:
        """Move the corners of all polygons, and those boxes that were made in the same way."""
        for index, read in self._read()[1].items():
            mask, box = read.item.get("segmentation"), read.item.get("bbox")
            if not isinstance(mask, list):
                continue
            entry = self._entries("annotations")[index]
            if box is not None and _is_made_alike(box, mask):
                bounds = moved(far_corner(box), read.size).round(3)
                entry["bbox"] = [*bounds[:2].tolist(), *(bounds[2:] - bounds[:2]).tolist()]
            entry["segmentation"] = [moved(part, read.size).round(3).tolist() for part in mask]
            self._redrawn.add(index)
            self._tell(what, entry.get("id", index))

    def _turn_sizes(self) -> None:
        """Exchange height and width of RLE masks that have those of the image the other way round."""
        document, _ = self._read()
        sizes = {one["file_name"]: (one["height"], one["width"]) for one in document.records}
        for finding in document.findings:
            size = sizes.get(finding.file_name)
            if finding.kind is Kind.BROKEN_RLE and size and finding.size == size[::-1]:
                entry = self._entries("annotations")[finding.annotation_id]
                entry["segmentation"] = {**entry["segmentation"], "size": list(size)}
                self._tell("height and width of masks exchanged", entry.get("id"))


def _to_pixels(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return (corners.reshape(-1, 2) * size[::-1]).ravel()


def _exchange(corners: np.ndarray, _: tuple[int, int]) -> np.ndarray:
    return corners.reshape(-1, 2)[:, ::-1].ravel()


def _is_made_alike(box: list[float], mask: Mask) -> bool:
    """Return whether a box is the bounds of its mask: of shares to a hundredth, of pixels about."""
    given, bounds = far_corner(box), mask_bounds(mask)
    return agree(given, bounds) and (bounds.max() > 1 or bool(np.abs(given - bounds).max() < 0.01))
