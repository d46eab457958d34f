"""Reads the images of a raw document into records."""

import os
from collections.abc import Iterator
from typing import Any

from solo.data.findings import Effect, Finding, Kind, duplicates, lacking, shown
from solo.data.identities import Identity, as_identity
from solo.data.plain_values import MOST_PIXELS, file_name_of, side_of, with_slashes
from solo.errors import shortened
from solo.images import UnreadableImageError, image_size


class ImageReader:
    """Reads the entries of images."""

    def __init__(self, root: str, leave_folder: bool, findings: list[Finding]) -> None:
        """Take where to put what is read, and what is found."""
        self._root, self._leave_folder, self._findings = root, leave_folder, findings

    def read(self, entries: Iterator[tuple[int, dict[str, Any]]]) -> dict[Identity, dict[str, Any]]:
        """Return a record for each image, by its id."""
        records: dict[Identity, dict[str, Any]] = {}
        names: dict[Identity, str] = {}
        for index, entry in entries:
            number, name = as_identity(entry.get("id")), file_name_of(entry.get("file_name"))
            if number is None or not name:
                missing = "id" if number is None else "file_name"
                self._tell(lacking("images", index, entry, missing, Effect.STOPS))
                continue
            if number in names:
                detail = f"{shown(number)} is taken already by {shortened(names[number])}"
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
        path = os.path.join(self._root, with_slashes(name, self._root))
        inside = os.path.relpath(path, self._root or ".")
        if not self._leave_folder and inside.split(os.sep)[0] == os.pardir:
            detail = f"it leads out of the image folder {self._root}"
            self._tell(Finding(Kind.OUTSIDE_FOLDER, detail, name, effect=Effect.STOPS))
            return ""
        return path

    def _size(self, index: int, entry: dict[str, Any], path: str) -> tuple[int, int] | None:
        """Return (H, W): of the entry, or where it has none, of the file's header."""
        given = [entry.get("height"), entry.get("width")]
        if given == [None, None]:
            try:
                return image_size(path)
            except UnreadableImageError as error:
                reason = str(error).removeprefix(f"{path}: ").rstrip(".")
                detail = f"{reason}, and images[{index}] has no height and width"
                self._tell(Finding(Kind.UNREADABLE_IMAGE, detail, path, effect=Effect.LEFT_OUT))
                return None
        height, width = map(side_of, given)
        if height and width and height * width <= MOST_PIXELS:
            return height, width
        missing = "width" if height else "height"
        if height and width:
            missing = "height" if height > width else "width"
        self._tell(lacking("images", index, entry, missing, Effect.STOPS))
        return None
