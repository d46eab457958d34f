"""What can be wrong with a data set, and what to do about it."""

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from solo.errors import shortened

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60


class Effect(Enum):
    """What became of the thing that a finding is about."""

    NONE = auto()  # it is used as it is
    GUESSED = auto()  # it is used as the finding says
    LEFT_OUT = auto()  # neither trained on nor evaluated
    STOPS = auto()  # the data set is not to be used


class Kind(Enum):
    """What can be wrong: a title, and what to do about it."""

    MISSING_FIELD = "missing field", "Write the fields that docs/custom_data.md lists."
    DUPLICATE_IMAGE_ID = "duplicate image id", "Give each image a number of its own."
    DUPLICATE_ANNOTATION_ID = (
        "duplicate annotation id",
        "Fine here; other tools lose all but one of them: number the annotations anew, from 1.",
    )
    DUPLICATE_FILE_NAME = (
        "duplicate file name",
        "Merge the entries of the file: as it is, each lacks the objects of the others.",
    )
    DUPLICATE_CLASS = "duplicate class", "Merge the classes, or give each a name and an id."
    UNKNOWN_IMAGE = "annotation of an unknown image", "Correct image_id, or remove the annotation."
    UNKNOWN_CATEGORY = "unknown category", "Correct category_id, or add the class to categories."
    MISSING_IMAGE = "missing image", "Restore the file, or correct the image folder or file_name."
    OUTSIDE_FOLDER = (
        "file name that leaves the image folder",
        "Correct file_name or the image folder; DATASETS.LEAVE_FOLDER True (`solo data convert "
        "--leave-folder`; leave_folder in the metadata of what Python registered) reads it nevertheless.",
    )
    UNREADABLE_IMAGE = "unreadable image", "Restore the file, or remove it from the annotations."
    WRONG_SIZE = (
        "wrong image size",
        "Write the size of the file; if it was resized after it was annotated, restore it.",
    )
    EXIF = (
        "EXIF orientation that the annotations ignore",
        "If the masks lie right on the stored pixels, take the orientation out of the file: "
        "exiftool -Orientation= FILE. Else write the size of the upright image.",
    )
    ANOTHER_SIZE = (
        "annotated at another size",
        "Restore the images that were annotated, or scale the annotations by these factors.",
    )
    EXCHANGED = (
        "x and y exchanged",
        "Write corners as x, y.",
    )
    EXCHANGED_SIZE = (
        "height and width exchanged",
        "The size of an RLE mask is [height, width]; images have height and width by their names.",
    )
    BOXES_ONLY = (
        "no mask",
        "SOLO learns from masks: annotate polygons or RLE masks, mark crowds with iscrowd, or train on boxes "
        "(docs/boxes.md); --config tells the check of a model that needs no masks.",
    )
    BROKEN_POLYGON = (
        "broken polygon",
        "Each polygon is a list [x1, y1, x2, y2, ...] of three corners or more: draw it again.",
    )
    FLAT_POLYGON = (
        "polygon without a list around it",
        "A mask is a list of polygons: write [[x1, y1, x2, y2, ...]].",
    )
    BROKEN_RLE = (
        "broken RLE",
        "Export the mask again; size is [height, width] of the image, runs go down the columns.",
    )
    EMPTY_MASK = "empty mask", "Remove the annotation, or draw its mask: no pixel belongs to it."
    RELATIVE = (
        "relative coordinates",
        "Corners are in pixels: multiply x by the width of the image and y by its height.",
    )
    OUTSIDE = (
        "outside the image",
        "Check that the annotation belongs to this image, and was made at its size.",
    )
    BROKEN_BOX = "broken box", "Write [x, y, width, height] in pixels, or leave bbox out."
    WRONG_BOX = (
        "box that disagrees with its mask",
        "Write the bounds of the mask as [x, y, width, height]; box AP is measured against it.",
    )
    ALL_CROWDS = (
        "crowds only",
        "Training leaves crowds out: set iscrowd to 0 where the mask is that of one object.",
    )
    MIXED_IDS = (
        "ids that are text here and numbers there",
        "Fine here; other tools find nothing: write them alike.",
    )
    DUPLICATE_OBJECT = (
        "object twice",
        "Remove one of the two: at best one of them can be found.",
    )
    UNUSED_CLASS = (
        "class without an object",
        "Fine if other files of the data set have them; else remove them from categories.",
    )
    NO_ANNOTATIONS = (
        "image without annotations",
        "Fine if it shows no object; else annotate it. Training leaves it out unless "
        "DATALOADER.FILTER_EMPTY_ANNOTATIONS is False.",
    )

    def __init__(self, title: str, advice: str) -> None:
        """Name the parts."""
        self.title = title
        self.advice = advice

    @property
    def is_error(self) -> bool:
        """Whether something has to be mended; else it is worth knowing only."""
        return self not in _NOTES


_NOTES = (
    Kind.DUPLICATE_ANNOTATION_ID,
    Kind.FLAT_POLYGON,
    Kind.MIXED_IDS,
    Kind.DUPLICATE_OBJECT,
    Kind.UNUSED_CLASS,
    Kind.NO_ANNOTATIONS,
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: Of the mistake.
        detail: What it is here.
        file_name: Of the image; empty if it is about none.
        annotation_id: Of the data set, or the place among the annotations of the image; None if it
            is about none.
        effect: What became of it.
        size: (H, W) that the file or the mask has, where the record of the image says another.
        count: How many images or annotations it is about.
    """

    kind: Kind
    detail: str
    file_name: str = ""
    annotation_id: Any = None
    effect: Effect = Effect.NONE
    size: tuple[int, int] | None = None
    count: int = 1

    @property
    def place(self) -> tuple[str, Any]:
        """Of the annotation: the image, and the id within the data set."""
        return self.file_name, self.annotation_id

    def __str__(self) -> str:
        """Return where it is, and what."""
        annotation = (
            "" if self.annotation_id is None else shortened(f"annotation {self.annotation_id}")
        )
        where = ", ".join(part for part in (shortened(self.file_name), annotation) if part)
        return f"{where}: {self.detail}" if where else self.detail


def shown(value: Any) -> str:
    """Return what a value looks like in a sentence: short, however long or deep it is."""
    return _REPR.repr(value)[:60]


def lacking(section: str, index: int, entry: Any, key: str, effect: Effect) -> Finding:
    """Return that an entry of a list of the file lacks a field, or has something useless in its place."""
    if not isinstance(entry, dict):
        return Finding(
            Kind.MISSING_FIELD, f"{section}[{index}] is no object: {shown(entry)}", effect=effect
        )
    given = f"the {key} {shown(entry[key])}" if key in entry else f"no {key}"
    name = shortened(str(entry.get("file_name", "")))
    return Finding(Kind.MISSING_FIELD, f"{section}[{index}] has {given}", name, effect=effect)


def duplicates(kind: Kind, values: Iterable[tuple[Any, str]]) -> list[Finding]:
    """Return a finding for each value that was there before.

    Args:
        kind: Of the findings.
        values: Each with the name of the image that it belongs to, or "".
    """
    seen: dict[Any, str] = {}
    findings = []
    for value, file_name in values:
        if value in seen:
            other = f" by {seen[value]}" if seen[value] not in ("", file_name) else ""
            findings.append(
                Finding(kind, f"{shown(value)} is taken already{shortened(other)}", file_name)
            )
        else:
            seen[value] = file_name
    return findings
