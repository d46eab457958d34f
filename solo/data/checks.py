"""Find what is broken in a data set before training does; each finding says where it is.

What it reads of files and masks is as little as tells: headers, corners, the lengths of runs.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.structures import BoxMode
from pycocotools import mask as coco_mask
from tqdm import tqdm

from solo.data.findings import Finding, Kind, duplicates, shown
from solo.data.mask_forms import BrokenMaskError, read_mask
from solo.data.reading import READ_ERRORS
from solo.images import image_size, read_image
from solo.structures.polygons import draw_polygons
from solo.structures.run_lengths import RLE

# Pixels by which a box or a polygon may leave the image, and a box differ from its mask: annotation
# tools round, and so does drawing.
_SLACK = 2.0
# ... to which large objects add this share of their side.
_RELATIVE_SLACK = 0.05


def check_records(
    records: Sequence[dict[str, Any]], num_classes: int = 0, *, read_images: bool = False
) -> list[Finding]:
    """Check a registered data set.

    Args:
        records: In detectron2's standard format.
        num_classes: Category ids are from 0 to below it. 0: not known, and not checked.
        read_images: Whether to decode each image, not only the header of its file.

    Returns:
        What is wrong; empty if nothing is.
    """
    findings = []
    if not records:
        findings.append(Finding(Kind.MISSING_FIELD, "the data set has no images"))
    ids = [(record.get("image_id"), str(record.get("file_name"))) for record in records]
    findings += duplicates(Kind.DUPLICATE_IMAGE_ID, [pair for pair in ids if pair[0] is not None])
    findings += duplicates(Kind.DUPLICATE_FILE_NAME, [(name, name) for _, name in ids])
    if num_classes:
        findings += _unknown_categories(records, range(num_classes))
    return findings + check_contents(records, read_images=read_images)


def check_contents(
    records: Sequence[dict[str, Any]], *, read_images: bool = False
) -> list[Finding]:
    """Check images, masks and boxes, each on its own, under a progress bar.

    Args:
        records: In detectron2's standard format; annotations may keep their ``id``.
        read_images: Whether to decode each image, not only the header of its file.
    """
    findings: list[Finding] = []
    objects = 0
    for record in tqdm(records, desc="checking", unit="image"):
        findings += _check_image(record, read_images)
        annotations = record.get("annotations", ())
        objects += sum(not item.get("iscrowd", 0) for item in annotations)
        findings += _check_annotations(record, annotations)
    return _merge_boxes_only(findings, objects)


def _unknown_categories(
    records: Sequence[dict[str, Any]], known: Collection[int]
) -> Iterator[Finding]:
    for record in records:
        for index, item in enumerate(record.get("annotations", ())):
            if (category := item.get("category_id")) not in known:
                yield Finding(
                    Kind.UNKNOWN_CATEGORY,
                    f"category_id {category!r} is none of 0 ... {len(known) - 1}",
                    str(record.get("file_name")),
                    item.get("id", index),
                )


def _merge_boxes_only(findings: list[Finding], objects: int) -> list[Finding]:
    """Say of a data set without any mask that it has boxes only, once."""
    others = [finding for finding in findings if finding.kind is not Kind.BOXES_ONLY]
    if not objects or len(findings) - len(others) < objects:
        return findings
    detail = f"the data set has boxes only: none of its {objects} annotations has a segmentation"
    return [Finding(Kind.BOXES_ONLY, detail), *others]


def _check_image(record: dict[str, Any], read_images: bool) -> Iterator[Finding]:
    path = str(record.get("file_name"))
    if not Path(path).is_file():
        yield Finding(Kind.MISSING_IMAGE, "there is no such file", path)
        return
    try:
        width, height = image_size(path)
        if read_images:
            read_image(path, "BGR")
    except READ_ERRORS as error:
        yield Finding(Kind.UNREADABLE_IMAGE, f"{type(error).__name__}: {error}", path)
        return
    said = (record.get("width", width), record.get("height", height))
    if said != (width, height):
        detail = f"the file has {width}x{height} pixels, the annotations say {said[0]}x{said[1]}"
        yield Finding(Kind.WRONG_SIZE, detail, path)


def _check_annotations(
    record: dict[str, Any], annotations: Sequence[dict[str, Any]]
) -> Iterator[Finding]:
    path = str(record.get("file_name"))
    if not annotations:
        yield Finding(Kind.NO_ANNOTATIONS, "there are none", path)
    if "height" not in record or "width" not in record:
        return
    size = record["height"], record["width"]
    for index, item in enumerate(annotations):
        for kind, detail in _check_annotation(item, size):
            yield Finding(kind, detail, path, item.get("id", index))


def _check_annotation(item: dict[str, Any], size: tuple[int, int]) -> Iterator[tuple[Kind, str]]:
    bounds = None
    try:
        mask = read_mask(item.get("segmentation"), size)
        if mask is None:
            if not item.get("iscrowd", 0):  # training leaves crowds out
                yield Kind.BOXES_ONLY, "it has no segmentation"
        elif isinstance(mask, list):
            bounds = _polygon_bounds(mask, size)
        else:
            bounds = _pixel_bounds(mask)
    except BrokenMaskError as error:
        yield error.kind, str(error)
    if item.get("bbox") is not None:
        yield from _check_box(item, bounds, size)


def _polygon_bounds(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return the XYXY bounds, (4,), of what polygons draw."""
    corners = np.concatenate(polygons).reshape(-1, 2)
    bounds = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    if excess := _excess(bounds, size):
        raise BrokenMaskError(Kind.OUTSIDE, f"its polygon leaves the image by {excess:g} pixels")
    if not coco_mask.area(draw_polygons(polygons, size)):
        raise BrokenMaskError(Kind.EMPTY_MASK, "its polygon holds no pixel of the image")
    return bounds


def _pixel_bounds(rle: RLE) -> np.ndarray:
    """Return the tight XYXY box, (4,), of an RLE mask."""
    if not coco_mask.area(rle):
        raise BrokenMaskError(Kind.EMPTY_MASK, "its mask has no pixel")
    left, top, width, height = coco_mask.toBbox(rle)
    return np.array([left, top, left + width, top + height])


def _check_box(
    item: dict[str, Any], bounds: np.ndarray | None, size: tuple[int, int]
) -> Iterator[tuple[Kind, str]]:
    try:
        numbers = [float(number) for number in item["bbox"]]
        box = np.array(BoxMode.convert(numbers, item["bbox_mode"], BoxMode.XYXY_ABS))
    except (TypeError, ValueError, AssertionError):
        yield Kind.BROKEN_BOX, f"its bbox is {shown(item['bbox'])}"
        return
    sides = box[2:] - box[:2]
    if not np.isfinite(box).all() or (sides <= 0).any():
        yield Kind.BROKEN_BOX, f"its box has the sides {sides[0]:g} and {sides[1]:g}"
        return
    if excess := _excess(box, size):
        yield Kind.OUTSIDE, f"its box leaves the image by {excess:g} pixels"
    if bounds is None:
        return
    allowed = _SLACK + _RELATIVE_SLACK * np.tile(bounds[2:] - bounds[:2], 2)
    if (np.abs(box - bounds) > allowed).any():
        yield Kind.WRONG_BOX, f"the box is {_listed(box)}, its mask's {_listed(bounds)}"


def _excess(bounds: np.ndarray, size: tuple[int, int]) -> float:
    """Return the pixels by which XYXY bounds leave an image; 0 if these are within the slack."""
    beyond = max(-bounds[0], -bounds[1], bounds[2] - size[1], bounds[3] - size[0])
    return float(beyond) if beyond > _SLACK else 0.0


def _listed(box: np.ndarray) -> str:
    left, top, right, bottom = box
    return f"x {left:g} to {right:g}, y {top:g} to {bottom:g}"
