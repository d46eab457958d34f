"""COCO's json as a document: read with clear errors, and checked as a whole with its images."""

import json
from pathlib import Path

from detectron2.utils.file_io import PathManager

from solo.data.document import Document, Raw, normalise
from solo.data.document_check import check_document
from solo.data.findings import Finding
from solo.errors import UserError, told_as
from solo.garbage import no_garbage_collection


def read_json(json_file: Path | str) -> Raw:
    """Read a file in COCO's format, which may begin with a byte order mark.

    Raises:
        OSError: If it cannot be read.
        UserError: If it is no json object.
    """
    with (
        PathManager.open(str(json_file), encoding="utf-8-sig") as file,
        told_as(f"{json_file} is no json"),
    ):
        try:
            raw = json.load(file)
        except RecursionError as error:
            raise ValueError("its brackets are nested too deeply") from error
    if not isinstance(raw, dict):
        raise UserError(
            f"{json_file} holds a {type(raw).__name__}, not an object with images, "
            "annotations and categories: is it a file of predictions?"
        )
    return raw


def read_coco(
    json_file: Path | str, image_root: Path | str, *, leave_folder: bool = False
) -> Document:
    """Read a file in COCO's format.

    Args:
        json_file: The annotations.
        image_root: The folder that file names are relative to.
        leave_folder: Whether file names may lead out of it.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no json object.
    """
    with no_garbage_collection():
        return normalise(read_json(json_file), image_root, leave_folder=leave_folder)


def check_coco_json(
    json_file: Path | str,
    image_root: Path | str,
    *,
    read_images: bool = False,
    leave_folder: bool = False,
) -> list[Finding]:
    """Check a file in COCO's format and its images; it need not be registered.

    Args:
        json_file: The annotations.
        image_root: The folder that file names are relative to.
        read_images: Whether to decode each image, not only the header of its file.
        leave_folder: Whether file names may lead out of the folder.

    Returns:
        What is wrong; empty if nothing is.

    Raises:
        OSError: If the file cannot be read.
        UserError: If it is no json object.
    """
    document = read_coco(json_file, image_root, leave_folder=leave_folder)
    return check_document(document, image_root, read_images=read_images)
