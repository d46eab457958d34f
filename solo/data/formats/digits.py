"""The embedded data set `digits`: real handwritten digits painted on real photographs.

Both come with scikit-learn, so nothing is downloaded. The images, the exact masks of what is
visible and COCO annotations are written once, into a folder named after the parameters.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask
from tqdm import tqdm

from solo.data.catalog import default_root, register_once
from solo.data.formats.coco_json import load_coco
from solo.data.formats.digit_painting import DigitsSpec, Painted, Sources, check_spec, compose_image
from solo.errors import MissingPackageError

CLASS_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SPLITS = ("train", "val")

# COCO counts categories from 1.
_CATEGORY_IDS = {label + 1: label for label in range(len(CLASS_NAMES))}
# Share of a photograph's width, from the left, that only training sees.
_TRAIN_SHARE = 0.7
# Share of the handwritten samples of each class that only the validation images show.
_VAL_SAMPLES = 0.2


def register_digits(
    root: Path | str | None = None, spec: DigitsSpec | None = None, prefix: str = "digits"
) -> None:
    """Register the two splits with detectron2; they are made when first asked for.

    Args:
        root: Folder that holds, or will hold, the data set's folder. None: ``default_root()``.
        spec: None: the defaults.
        prefix: The names become ``{prefix}_train`` and ``{prefix}_val``. Names that are taken
            stay as they are.
    """
    spec = spec or DigitsSpec()
    root = Path(root) if root is not None else default_root()
    for split in SPLITS:
        name = f"{prefix}_{split}"
        register_once(
            name,
            partial(_load_split, root, spec, split, name),
            thing_classes=list(CLASS_NAMES),
            thing_dataset_id_to_contiguous_id=dict(_CATEGORY_IDS),
            json_file=str(root / spec.folder / f"{split}.json"),
            image_root=str(root / spec.folder / split),
            evaluator_type="coco",
        )


def build_digits(root: Path | str, spec: DigitsSpec | None = None) -> Path:
    """Write the data set below a folder, unless it is there already, and return its own folder.

    An interrupted call leaves nothing that looks complete, and several processes may call it at
    the same time.

    Args:
        root: Folder that will hold the data set's folder.
        spec: None: the defaults.

    Returns:
        The folder, with ``train.json``, ``val.json`` and the images in ``train/`` and ``val/``.

    Raises:
        ModuleNotFoundError: If scikit-learn is missing.
        ValueError: If the spec makes no sense.
    """
    spec = spec or DigitsSpec()
    folder = Path(root) / spec.folder
    if folder.exists():
        return folder
    check_spec(spec)
    sources = {split: load_sources(spec, split) for split in SPLITS}
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{spec.folder}-"))
    try:
        scratch.chmod(0o755)  # mkdtemp lets nobody else read
        for split in SPLITS:
            _write_split(scratch, spec, split, sources[split])
        _publish(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def load_sources(spec: DigitsSpec, split: str) -> Sources:
    """Return the handwritten samples and the regions of the photographs of one split.

    No sample and no pixel of a photograph belongs to both splits.

    Args:
        spec: Its seed draws the held-out samples, from each class the same share.
        split: "train" or "val".
    """
    datasets = _sklearn_datasets()
    digits = datasets.load_digits()
    samples = _split_samples(digits.target, spec.seed, split)
    photos = []
    for photo in datasets.load_sample_images().images:
        border = round(photo.shape[1] * _TRAIN_SHARE)
        region = photo[:, :border] if split == "train" else photo[:, border:]
        photos.append(np.ascontiguousarray(region[:, :, ::-1]))
    ink = digits.images[samples].astype(np.float32)
    return Sources(samples, ink, digits.target[samples], photos)


def _sklearn_datasets() -> ModuleType:
    try:
        import sklearn.datasets
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "the data set `digits` is made from scikit-learn's images, and scikit-learn is not "
            "installed: run `pip install scikit-learn`"
        ) from error
    return sklearn.datasets


def _split_samples(labels: np.ndarray, seed: int, split: str) -> np.ndarray:
    """Return the indices of a split's samples, sorted: of each class the same share."""
    rng = np.random.default_rng((seed, 0))
    chosen = []
    for label in range(len(CLASS_NAMES)):
        members = rng.permutation(np.flatnonzero(labels == label))
        held_out = round(len(members) * _VAL_SAMPLES)
        chosen.append(members[:held_out] if split == "val" else members[held_out:])
    return np.sort(np.concatenate(chosen))


def _write_split(folder: Path, spec: DigitsSpec, split: str, sources: Sources) -> None:
    """Write the images and the annotations of one split."""
    (folder / split).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    count = spec.train_images if split == "train" else spec.val_images
    for index in tqdm(range(count), f"digits: {split} images", unit="image", disable=None):
        # A generator per image: the images do not depend on how many there are.
        rng = np.random.default_rng((spec.seed, 1 + SPLITS.index(split), index))
        image, painted = compose_image(spec, sources, rng)
        name = f"{index:06d}.jpg"
        if not cv2.imwrite(str(folder / split / name), image, [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f"cannot write {folder / split / name}")
        height, width = image.shape[:2]
        images.append({"id": index + 1, "file_name": name, "height": height, "width": width})
        for item in _annotations(painted, index + 1):
            annotations.append({"id": len(annotations) + 1, **item})
    categories = [{"id": key, "name": CLASS_NAMES[label]} for key, label in _CATEGORY_IDS.items()]
    document = {
        "info": {"description": "scikit-learn's handwritten digits on its sample photographs"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    (folder / f"{split}.json").write_text(json.dumps(document))


def _annotations(painted: list[Painted], image_id: int) -> Iterator[dict[str, Any]]:
    """Yield the COCO annotations of an image's digits, without their ids."""
    for digit in painted:
        rle = coco_mask.encode(np.asfortranarray(digit.mask, dtype=np.uint8))
        yield {
            "image_id": image_id,
            "category_id": digit.label + 1,
            "bbox": coco_mask.toBbox(rle).tolist(),
            "area": int(digit.mask.sum()),
            "segmentation": {"size": rle["size"], "counts": rle["counts"].decode("ascii")},
            "iscrowd": 0,
        }


def _publish(scratch: Path, folder: Path) -> None:
    """Give a complete folder its name, unless another process was faster."""
    try:
        os.replace(scratch, folder)
    except OSError:
        if not folder.exists():
            raise


def _load_split(root: Path, spec: DigitsSpec, split: str, name: str) -> list[dict[str, Any]]:
    folder = build_digits(root, spec)
    return load_coco(str(folder / f"{split}.json"), str(folder / split), name)
