"""Cityscapes' instances, with the masks that its own evaluation compares with.

detectron2's loader makes polygons of them, which lose holes and take minutes. Here the masks are
those of the `_gtFine_instanceIds.png` files, so that neither shapely nor cityscapesscripts is
needed to train. The names differ from detectron2's, whose data sets stay what they are.
"""

from functools import partial
from pathlib import Path
from typing import Any

from solo.data.catalog import default_root, register_once
from solo.data.formats.instance_map import annotate, encode_ids, read_all, read_map

# Label of Cityscapes -> name, in the order of the model's class channels.
CLASSES = {
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
SPLITS = ("train", "val")

_CHANNELS = {label: channel for channel, label in enumerate(CLASSES)}
# An instance has the number label * 1000 + k; a group that nobody told apart has its label.
_FIRST_INSTANCE = 1000
_IMAGE_END, _IDS_END = "_leftImg8bit.png", "_gtFine_instanceIds.png"


def register_cityscapes(root: Path | str | None = None, prefix: str = "cityscapes_inst") -> None:
    """Register the splits with detectron2; they are read when asked for.

    Args:
        root: Folder that holds ``cityscapes/leftImg8bit`` and ``cityscapes/gtFine``. None:
            ``default_root()``.
        prefix: The names become ``{prefix}_train`` and so on. Names that are taken stay.
    """
    folder = Path(root if root is not None else default_root(), "cityscapes")
    for split in SPLITS:
        image_dir, gt_dir = folder / "leftImg8bit" / split, folder / "gtFine" / split
        register_once(
            f"{prefix}_{split}",
            partial(load_cityscapes, image_dir, gt_dir),
            thing_classes=list(CLASSES.values()),
            image_dir=str(image_dir),
            gt_dir=str(gt_dir),
            evaluator_type="cityscapes_instance",
        )


def load_cityscapes(image_dir: Path | str, gt_dir: Path | str) -> list[dict[str, Any]]:
    """Return the records of a split, groups among them as crowds.

    Args:
        image_dir: Holds ``city/*_leftImg8bit.png``.
        gt_dir: Holds ``city/*_gtFine_instanceIds.png``.

    Returns:
        Records in detectron2's standard format, masks as RLE.

    Raises:
        FileNotFoundError: If there are no images, or an image has no annotation file.
    """
    images = sorted(Path(image_dir).glob(f"*/*{_IMAGE_END}"))
    if not images:
        raise FileNotFoundError(
            f"{image_dir} holds no CITY/*{_IMAGE_END}: unpack leftImg8bit_trainvaltest.zip and "
            "gtFine_trainvaltest.zip into the folder cityscapes of $DETECTRON2_DATASETS"
        )
    pairs = []
    for image in images:
        ids_file = Path(gt_dir, image.parent.name, image.name.replace(_IMAGE_END, _IDS_END))
        if not ids_file.is_file():
            raise FileNotFoundError(
                f"{image} has no annotation {ids_file}: unpack gtFine_trainvaltest.zip again"
            )
        pairs.append((image, ids_file))
    return read_all(_read_record, pairs, "cityscapes")


def _read_record(files: tuple[Path, Path]) -> dict[str, Any]:
    image, ids_file = files
    ids = read_map(ids_file)
    annotations = []
    for number, rle in encode_ids(ids).items():
        is_group = number < _FIRST_INSTANCE
        label = number if is_group else number // _FIRST_INSTANCE
        if label in _CHANNELS:
            annotations.append(annotate(rle, _CHANNELS[label], iscrowd=int(is_group)))
    return {
        "file_name": str(image),
        "image_id": image.name,
        "height": ids.shape[0],
        "width": ids.shape[1],
        "annotations": annotations,
    }
