"""Pascal VOC's instances: VOC 2012's own PNG files, and those of SBD for more of its images.

In both an image has a map of instance numbers. VOC marks pixels that nobody can tell, as along
contours, as void: they belong to no object, and records name them for the evaluation.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data.datasets.pascal_voc import CLASS_NAMES

from solo.data.catalog import default_root, register_once
from solo.data.formats.instance_map import annotate, encode_ids, read_all, read_map
from solo.errors import MissingPackageError, UserError

VOC_SPLITS = ("train", "val", "trainval")
SBD_SPLITS = ("train", "val")

_BACKGROUND, _VOID = 0, 255


def register_voc(root: Path | str | None = None) -> None:
    """Register voc_2012_inst_{train,val,trainval} and sbd_inst_{train,val}, read when asked for.

    Args:
        root: Folder that holds ``VOC2012`` and SBD's ``benchmark_RELEASE``. None:
            ``default_root()``. Names that are taken stay as they are.
    """
    root = Path(root) if root is not None else default_root()
    voc, sbd = root / "VOC2012", root / "benchmark_RELEASE" / "dataset"
    loads = {
        **{f"voc_2012_inst_{split}": partial(load_voc, voc, split) for split in VOC_SPLITS},
        **{f"sbd_inst_{split}": partial(load_sbd, sbd, split) for split in SBD_SPLITS},
    }
    for name, load in loads.items():
        register_once(name, load, thing_classes=list(CLASS_NAMES), evaluator_type="voc_instance")


def load_voc(folder: Path | str, split: str) -> list[dict[str, Any]]:
    """Return the records of a split of VOC 2012's segmentation challenge.

    Args:
        folder: Holds ``JPEGImages``, ``SegmentationClass``, ``SegmentationObject`` and
            ``ImageSets/Segmentation``.
        split: "train", "val" or "trainval".

    Returns:
        Records in detectron2's standard format, masks as RLE; ``void`` is the RLE of the pixels
        that the evaluation ignores.

    Raises:
        FileNotFoundError: If a file is missing.
        UserError: If the two maps of an image do not fit together.
    """
    folder = Path(folder)
    names = _read_names(folder / "ImageSets" / "Segmentation" / f"{split}.txt")
    read = partial(_read_voc, folder)
    return read_all(read, list(enumerate(names)), f"voc_2012 {split}")


def load_sbd(folder: Path | str, split: str) -> list[dict[str, Any]]:
    """Return the records of a split of SBD, the Semantic Boundaries Dataset.

    Args:
        folder: Holds ``img``, ``inst``, ``train.txt`` and ``val.txt``.
        split: "train" or "val".

    Returns:
        Records in detectron2's standard format, masks as RLE; SBD knows no void pixels.

    Raises:
        FileNotFoundError: If a file is missing.
        UserError: If scipy is missing, or the class of an instance.
    """
    folder = Path(folder)
    names = _read_names(folder / f"{split}.txt")
    read = partial(_read_sbd, folder, _import_loadmat())
    return read_all(read, list(enumerate(names)), f"sbd {split}")


def _read_names(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: unpack the data set into $DETECTRON2_DATASETS as "
            "docs/custom_data.md shows"
        )
    return path.read_text().split()


def _import_loadmat() -> Callable[..., dict[str, Any]]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingPackageError(
            "SBD's .mat files are read by scipy: pip install scipy"
        ) from error
    return loadmat


def _read_voc(folder: Path, item: tuple[int, str]) -> dict[str, Any]:
    index, name = item
    ids_file = folder / "SegmentationObject" / f"{name}.png"
    ids = read_map(ids_file)
    classes = read_map(folder / "SegmentationClass" / f"{name}.png")
    if ids.shape != classes.shape:
        raise UserError(
            f"{ids_file} has {ids.shape} pixels, its class map {classes.shape}: unpack them again"
        )
    return _record(index, folder / "JPEGImages" / f"{name}.jpg", ids, _majority(ids, classes))


def _read_sbd(folder: Path, loadmat: Callable[..., Any], item: tuple[int, str]) -> dict[str, Any]:
    index, name = item
    content = loadmat(folder / "inst" / f"{name}.mat", squeeze_me=True, struct_as_record=False)
    truth = content["GTinst"]
    categories = np.atleast_1d(truth.Categories)
    return _record(
        index,
        folder / "img" / f"{name}.jpg",
        truth.Segmentation,
        {number: int(category) for number, category in enumerate(categories, 1)},
    )


def _majority(ids: np.ndarray, classes: np.ndarray) -> dict[int, int]:
    """Return the class that most pixels of each number have, void and background left out."""
    pairs = ids.astype(np.int64).ravel() * 256 + classes.ravel()
    votes = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
    votes[:, [_BACKGROUND, _VOID]] = 0
    return {int(number): int(votes[number].argmax()) for number in votes.any(axis=1).nonzero()[0]}


def _record(index: int, image: Path, ids: np.ndarray, class_of: dict[int, int]) -> dict[str, Any]:
    """Return the record of an image; `class_of` maps its instances to 1 ... 20.

    Class k + 1 of the maps is name k, the model's class channel k.
    """
    rles = encode_ids(ids)
    rles.pop(_BACKGROUND, None)
    void = rles.pop(_VOID, None)
    annotations = []
    for number, rle in rles.items():
        category = class_of.get(number, 0)
        if not 1 <= category <= len(CLASS_NAMES):
            raise UserError(
                f"instance {number} of {image} has no class among 1 ... {len(CLASS_NAMES)}: "
                "unpack the data set again"
            )
        annotations.append(annotate(rle, category - 1))
    height, width = ids.shape
    record = {
        "file_name": str(image),
        "image_id": index,
        "height": height,
        "width": width,
        "annotations": annotations,
    }
    return record if void is None else {**record, "void": void}
