"""Find what is broken in a data set before training does; each finding says where it is.

What it reads of files and masks is as little as tells: headers, corners, the lengths of runs.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from detectron2.structures import BoxMode
from pycocotools import mask as coco_mask
from tqdm import tqdm

from solo.data.bounds import agree, excess, mask_bounds
from solo.data.causes import name_causes
from solo.data.findings import Finding, Kind, duplicates, shown
from solo.data.mask_forms import BrokenMaskError, Mask, read_mask
from solo.images import MAX_PIXELS, UnreadableImageError, ignores_exif, image_size, read_image
from solo.structures.polygons import draw_polygons


def check_records(
    records: Sequence[dict[str, Any]],
    num_classes: int = 0,
    *,
    read_images: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> list[Finding]:
    """Check a registered data set.

    Args:
        records: In detectron2's standard format.
        num_classes: Category ids are from 0 to below it. 0: not known, and not checked.
        read_images: Whether to decode each image, not only the header of its file.
        max_pixels: See `solo.images.read_image`.

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
    findings += check_contents(records, read_images=read_images, max_pixels=max_pixels)
    return name_causes(findings, records)


def check_contents(
    records: Sequence[dict[str, Any]], *, read_images: bool = False, max_pixels: int = MAX_PIXELS
) -> list[Finding]:
    """Check images, masks and boxes, each on its own, under a progress bar.

    Args:
        records: In detectron2's standard format; annotations may keep their ``id``.
        read_images: Whether to decode each image, not only the header of its file.
        max_pixels: See `solo.images.read_image`.
    """
    findings: list[Finding] = []
    objects = 0
    for record in tqdm(records, desc="checking", unit="image", disable=None):
        findings += _check_image(record, read_images, max_pixels)
        annotations = record.get("annotations", ())
        objects += sum(not item.get("iscrowd", 0) for item in annotations)
        if not annotations:
            findings.append(
                Finding(Kind.NO_ANNOTATIONS, "there are none", str(record.get("file_name")))
            )
        findings += check_shapes(record)
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
    return [Finding(Kind.BOXES_ONLY, detail, count=objects), *others]


def _check_image(record: dict[str, Any], read_images: bool, max_pixels: int) -> Iterator[Finding]:
    path = str(record.get("file_name"))
    if not os.path.isfile(path):  # which also knows of names that are too long
        yield Finding(Kind.MISSING_IMAGE, "there is no such file", path)
        return
    try:
        height, width = image_size(path, max_pixels)
        if read_images:
            read_image(path, "BGR", max_pixels)
    except UnreadableImageError as error:
        yield Finding(Kind.UNREADABLE_IMAGE, str(error).removeprefix(f"{path}: "), path)
        return
    said = (record.get("width", width), record.get("height", height))
    if said != (width, height):
        yield _wrong_size(path, said, (height, width))


def _wrong_size(path: str, said: tuple[int, int], size: tuple[int, int]) -> Finding:
    """Tell of a file of (H, W) pixels, where (W, H) are said."""
    pixels, other = f"{size[1]}x{size[0]} pixels", f"the annotations say {said[0]}x{said[1]}"
    if ignores_exif(path, said[::-1]):
        detail = f"its EXIF orientation turns it to {pixels}, {other}, as it is stored"
        return Finding(Kind.EXIF, detail, path, size=size)
    return Finding(Kind.WRONG_SIZE, f"the file has {pixels}, {other}", path, size=size)


def check_shapes(record: dict[str, Any]) -> Iterator[Finding]:
    """Check the masks and boxes of an image, without a look at its file.

    Args:
        record: In detectron2's standard format; annotations may keep their ``id``.
    """
    if "height" not in record or "width" not in record:
        return
    path, size = str(record.get("file_name")), (record["height"], record["width"])
    for index, item in enumerate(record.get("annotations", ())):
        for kind, detail in _check_annotation(item, size):
            yield Finding(kind, detail, path, item.get("id", index))


def _check_annotation(item: dict[str, Any], size: tuple[int, int]) -> Iterator[tuple[Kind, str]]:
    bounds = None
    try:
        mask = read_mask(item.get("segmentation"), size)
        if mask is None:
            if not item.get("iscrowd", 0):  # training leaves crowds out
                yield Kind.BOXES_ONLY, "it has no segmentation"
        else:
            bounds = _tight_bounds(mask, size)
    except BrokenMaskError as error:
        yield error.kind, str(error)
    if item.get("bbox") is not None:
        yield from _check_box(item, bounds, size)


def _tight_bounds(mask: Mask, size: tuple[int, int]) -> np.ndarray:
    """Return the bounds of a mask.

    Raises:
        BrokenMaskError: If it leaves the image, or has no pixel there.
    """
    if not isinstance(mask, list):
        if not coco_mask.area(mask):
            raise BrokenMaskError(Kind.EMPTY_MASK, "its mask has no pixel")
        return mask_bounds(mask)
    bounds = mask_bounds(mask)
    if beyond := excess(bounds, size):
        raise BrokenMaskError(Kind.OUTSIDE, f"its polygon leaves the image by {beyond:g} pixels")
    if not coco_mask.area(draw_polygons(mask, size)):
        raise BrokenMaskError(Kind.EMPTY_MASK, "its polygon holds no pixel of the image")
    return bounds


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
    if beyond := excess(box, size):
        yield Kind.OUTSIDE, f"its box leaves the image by {beyond:g} pixels"
    if bounds is not None and not agree(box, bounds):
        yield Kind.WRONG_BOX, f"the box is {_listed(box)}, its mask's {_listed(bounds)}"


def _listed(box: np.ndarray) -> str:
    left, top, right, bottom = box
    return f"x {left:g} to {right:g}, y {top:g} to {bottom:g}"
