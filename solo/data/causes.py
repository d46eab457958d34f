"""Causes: what many findings have in common is said once, and what follows from it no more.

Legend: sizes are (H, W); bounds are XYXY and boxes [x, y, width, height], (4,), in pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from os.path import dirname, relpath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.structures import BoxMode

from solo.data.bounds import agree, excess, far_corner, mask_bounds
from solo.data.findings import Effect, Finding, Kind
from solo.data.mask_forms import BrokenMaskError, read_mask

Size = tuple[int, int]

# Fewer of a kind are no pattern.
_SEVERAL = 3
# What a wrong scale or order of coordinates looks like, annotation by annotation.
_SYMPTOMS = (Kind.OUTSIDE, Kind.EMPTY_MASK, Kind.WRONG_BOX)
_TURNED = [1, 0, 3, 2]
# What people write in place of [x, y, width, height], and how it becomes that.
_BOX_FORMS: dict[str, Callable[[np.ndarray, Size], np.ndarray]] = {
    "corners [x1, y1, x2, y2]": lambda box, _: np.array([*box[:2], *(box[2:] - box[:2])]),
    "[y, x, height, width]": lambda box, _: box[_TURNED],
    "[x, y] of the centre, width and height": lambda box, _: np.array(
        [*(box[:2] - box[2:] / 2), *box[2:]]
    ),
    "shares of the image": lambda box, size: box * np.tile(size[::-1], 2),
}


class Shape(NamedTuple):
    """An annotation in numbers.

    Attributes:
        place: See :class:`Finding`.
        size: Of its image.
        bounds: Of its mask.
        box: As it is given; None if it is not.
        has_corners: Whether its mask is polygons.
    """

    place: tuple[str, Any]
    size: Size
    bounds: np.ndarray
    box: np.ndarray | None
    has_corners: bool


class Scenery:
    """What the findings are about.

    Attributes:
        sizes: By the names of the images, as the annotations say.
        folder: Of the images.
    """

    def __init__(self, records: Sequence[dict[str, Any]], folder: str) -> None:
        """Take the records, in detectron2's standard format, and the folder, if it is known."""
        self._records = [one for one in records if {"height", "width"} <= one.keys()]
        self.count = len(records)
        self.sizes = {
            str(one.get("file_name")): (one["height"], one["width"]) for one in self._records
        }
        self.folder = folder or dirname(next(iter(self.sizes), ""))

    @cached_property
    def shapes(self) -> list[Shape]:
        """Of all annotations with a mask that can be read."""
        return list(self._shapes())

    @property
    def corners(self) -> list[Shape]:
        """Those whose masks are polygons."""
        return [shape for shape in self.shapes if shape.has_corners]

    def _shapes(self) -> Iterator[Shape]:
        for record in self._records:
            name, size = str(record.get("file_name")), (record["height"], record["width"])
            for index, item in enumerate(record.get("annotations", ())):
                try:
                    mask = read_mask(item.get("segmentation"), size)
                except BrokenMaskError:
                    continue
                if mask is None:
                    continue
                place = name, item.get("id", index)
                bounds, has_corners = mask_bounds(mask), isinstance(mask, list)
                yield Shape(place, size, bounds, _box(item), has_corners)


def _box(item: dict[str, Any]) -> np.ndarray | None:
    """Return a box as it is given; None if it is none, or in detectron2's other form."""
    if item.get("bbox_mode") != BoxMode.XYWH_ABS:
        return None
    try:
        box = np.array(item.get("bbox"), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return box if box.shape == (4,) else None


def name_causes(
    findings: Sequence[Finding], records: Sequence[dict[str, Any]], folder: str = ""
) -> list[Finding]:
    """Replace findings of one cause by one of it, and leave out what follows from others.

    Args:
        findings: Each on its own.
        records: Of the data set, in detectron2's standard format.
        folder: Of its images, if that is known.
    """
    scenery, named = Scenery(records, folder), list(findings)
    for rule in _RULES:
        if any(finding.kind in rule.kinds for finding in named):
            named = rule.apply(named, scenery)
    return named


def _missing_folder(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    missing = [finding for finding in findings if finding.kind is Kind.MISSING_IMAGE]
    if len(missing) < max(scenery.count, 2):
        return findings
    detail = f"the folder of all {len(missing)} images does not exist"
    if Path(scenery.folder).is_dir():
        first = relpath(missing[0].file_name, scenery.folder)
        detail = f"the folder holds none of {len(missing)} images, the first of which is {first}"
    cause = Finding(Kind.MISSING_IMAGE, detail, scenery.folder, count=len(missing))
    return _instead(findings, missing, cause)


def _emptied(findings: list[Finding], _: Scenery) -> list[Finding]:
    """Leave out images without annotations that had some."""
    had = {one.file_name for one in findings if one.effect in (Effect.LEFT_OUT, Effect.STOPS)}
    return [
        one for one in findings if one.kind is not Kind.NO_ANNOTATIONS or one.file_name not in had
    ]


def _none_annotated(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    empty = [finding for finding in findings if finding.kind is Kind.NO_ANNOTATIONS]
    if len(empty) < max(scenery.count, 2):
        return findings
    cause = Finding(
        Kind.NO_ANNOTATIONS, f"none of the {len(empty)} images has any", count=len(empty)
    )
    return _instead(findings, empty, cause)


def _fitting_the_file(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    """Leave out masks that fit the file, where the annotations say another size."""
    kinds = (Kind.WRONG_SIZE, Kind.EXIF)
    sizes = {one.file_name: one.size for one in findings if one.kind in kinds and one.size}
    fitting = {
        shape.place
        for shape in scenery.shapes
        if (size := sizes.get(shape.place[0])) and not excess(shape.bounds, size)
    }
    return [
        one
        for one in findings
        if not (one.kind is Kind.OUTSIDE and one.place in fitting)
        and not (one.kind is Kind.BROKEN_RLE and one.size and one.size == sizes.get(one.file_name))
    ]


def _relative(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    return _without_symptoms(findings, scenery.corners)


def _exchanged(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    """Name x and y that are exchanged: corners leave their images, and fit the other way round."""
    shapes = scenery.corners
    turned = [shape.bounds[_TURNED] for shape in shapes]
    if any(excess(bounds, shape.size) for bounds, shape in zip(turned, shapes, strict=True)):
        return findings
    outside = {one.place for one in findings if one.kind is Kind.OUTSIDE}
    leaving = sum(
        shape.place in outside and excess(shape.bounds, shape.size) > 0 for shape in shapes
    )
    boxes = [
        (far_corner(shape.box), shape.bounds, bounds)
        for shape, bounds in zip(shapes, turned, strict=True)
        if shape.box is not None
    ]
    as_it_is = sum(agree(box, bounds) for box, bounds, _ in boxes)
    the_other_way = sum(agree(box, bounds) for box, _, bounds in boxes)
    # Boxes that are right are proof; else many have to leave their images.
    is_proven = the_other_way == len(boxes) and len(boxes) - as_it_is >= _SEVERAL
    is_likely = len(boxes) in (as_it_is, the_other_way) and leaving >= max(
        _SEVERAL, len(shapes) / 10
    )
    if not (is_proven or is_likely):
        return findings
    detail = (
        f"the corners of {leaving} of {len(shapes)} polygons leave their images, and all fit with "
        "x and y exchanged"
    )
    cause = Finding(Kind.EXCHANGED, detail, count=len(shapes))
    return [cause, *_without_symptoms(findings, shapes)]


def _outgrown(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    """Name corners that reach beyond most images, by one factor: they were made on larger ones."""
    reaches: dict[str, np.ndarray] = {}
    for shape in scenery.corners:
        if (shape.bounds[:2] < 0).any() and excess(shape.bounds, shape.size):
            return findings
        reach, name = shape.bounds[2:] / shape.size[::-1], shape.place[0]
        reaches[name] = np.maximum(reach, reaches.get(name, reach))
    reached = np.array(list(reaches.values())).reshape(-1, 2)
    beyond = int((reached > 1.05).any(axis=1).sum())
    if beyond < max(_SEVERAL, len(reached) / 2):
        return findings
    most = reached.max(axis=0)
    if (most > 2 * np.median(reached, axis=0)).any():  # a few far out are no scale
        return findings
    detail = (
        f"the polygons of {beyond} of {len(reached)} images reach up to {most[0]:.2f} times their "
        f"width and {most[1]:.2f} times their height"
    )
    cause = Finding(Kind.ANOTHER_SIZE, detail, count=len(scenery.corners))
    return [cause, *_without_symptoms(findings, scenery.corners)]


def _sizes(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    """Name what the sizes of files, or of RLE masks, have in common against those that are said."""
    for kind, things in ((Kind.WRONG_SIZE, "image files"), (Kind.BROKEN_RLE, "RLE masks")):
        wrong = [one for one in findings if one.kind is kind and one.size]
        pairs = [(one.size, scenery.sizes.get(one.file_name)) for one in wrong]
        sizes = np.array([pair for pair in pairs if None not in pair]).reshape(-1, 2, 2)
        if len(wrong) < _SEVERAL or len(sizes) < len(wrong):
            continue
        others, said = sizes[:, 0], sizes[:, 1]
        factors = np.median(others / said, axis=0)
        if (others == said[:, ::-1]).all():
            cause_kind, detail = Kind.EXCHANGED_SIZE, f"the sizes of {len(wrong)} {things}"
            detail += " are the other way round"
        elif (np.abs(others - said * factors) <= 1).all():
            cause_kind, detail = Kind.ANOTHER_SIZE, f"{len(wrong)} {things} are {factors[1]:.3g}"
            detail += (
                f" times as wide and {factors[0]:.3g} times as high as the images are said to be"
            )
        else:
            continue
        cause = Finding(cause_kind, detail, effect=wrong[0].effect, count=len(wrong))
        findings = _instead(findings, wrong, cause)
    return findings


def _box_form(findings: list[Finding], scenery: Scenery) -> list[Finding]:
    """Name what boxes are that disagree with their masks, if it is the same with all."""
    wrong = {one.place for one in findings if one.kind is Kind.WRONG_BOX}
    shapes = [shape for shape in scenery.shapes if shape.place in wrong]
    if len(shapes) < max(_SEVERAL, len(scenery.shapes) / 2):
        return findings
    for name, read in _BOX_FORMS.items():
        if all(
            one.box is not None and agree(far_corner(read(one.box, one.size)), one.bounds)
            for one in shapes
        ):
            detail = f"{len(shapes)} boxes are {name}, where [x, y, width, height] is meant"
            cause = Finding(Kind.WRONG_BOX, detail, count=len(shapes))
            return [cause, *_without_symptoms(findings, shapes)]
    return findings


def _without_symptoms(findings: list[Finding], shapes: Sequence[Shape]) -> list[Finding]:
    """Leave out what follows from a cause for these annotations."""
    places = {shape.place for shape in shapes}
    return [one for one in findings if one.kind not in _SYMPTOMS or one.place not in places]


def _instead(findings: list[Finding], replaced: list[Finding], cause: Finding) -> list[Finding]:
    gone = set(map(id, replaced))
    return [cause, *(finding for finding in findings if id(finding) not in gone)]


class _Rule(NamedTuple):
    apply: Callable[[list[Finding], Scenery], list[Finding]]
    kinds: tuple[Kind, ...]  # which it looks for


# What the first explain is nothing to the later ones.
_RULES = (
    _Rule(_emptied, (Kind.NO_ANNOTATIONS,)),
    _Rule(_none_annotated, (Kind.NO_ANNOTATIONS,)),
    _Rule(_missing_folder, (Kind.MISSING_IMAGE,)),
    _Rule(_fitting_the_file, (Kind.WRONG_SIZE, Kind.EXIF)),
    _Rule(_sizes, (Kind.WRONG_SIZE, Kind.BROKEN_RLE)),
    _Rule(_relative, (Kind.RELATIVE,)),
    _Rule(_exchanged, (Kind.OUTSIDE, Kind.WRONG_BOX)),
    _Rule(_outgrown, (Kind.OUTSIDE,)),
    _Rule(_box_form, (Kind.WRONG_BOX,)),
)
