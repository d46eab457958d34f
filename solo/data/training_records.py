"""The records that training takes its images from: checked first, then counted and grouped."""

from collections.abc import Sequence
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import get_detection_dataset_dicts
from detectron2.data.samplers import RepeatFactorTrainingSampler

from solo.architectures import needs_masks
from solo.config.choices import TrainSampler, choose
from solo.data.catalog import check_registered
from solo.data.kept_records import forget_records, keep_records
from solo.errors import UserError, told_as

Record = dict[str, Any]

# What else can be done with boxes than to draw masks.
WAYS_OUT = (
    ', or train on the boxes: MODEL.SOLO.LOSS.SUPERVISION "box" makes masks of them, and a YOLOX finds '
    "boxes (see docs/boxes.md)"
)


def training_records(cfg: CfgNode, *, keep: bool = False) -> list[Record]:
    """Return the records of DATASETS.TRAIN, after checking that they teach what the model learns.

    Images without objects are left out where DATALOADER.FILTER_EMPTY_ANNOTATIONS says so.

    Args:
        cfg: The config.
        keep: Whether they will be asked for again; if not, only those of DATASETS.TEST are kept.

    Raises:
        UserError: If there are none, or objects without a mask that the model needs.
    """
    names = tuple(cfg.DATASETS.TRAIN)
    if not names:
        raise UserError("DATASETS.TRAIN is empty: name a registered data set to train on")
    check_registered(names)
    for name in names:
        keep_records(name)
    advice = " Check that the annotation file lists images, and objects that are not crowds"
    with told_as(f"DATASETS.TRAIN = {names} cannot be trained on", advice):
        records = get_detection_dataset_dicts(
            names, filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
        )
    for name in () if keep else set(names).difference(cfg.DATASETS.TEST):
        forget_records(name)  # the loader has its own
    if not len(records):
        raise UserError(f"DATASETS.TRAIN = {names} holds no images to train on")
    (check_masks if needs_masks(cfg) else check_boxes)(records, names)
    return records


def check_masks(records: Sequence[Record], names: Sequence[str]) -> None:
    """Stop if objects have no mask, before hours of training come to the first of them.

    Raises:
        UserError: If so; it tells data sets that hold boxes only from ones with gaps.
    """
    objects, without, first = 0, 0, ""
    for record in records:
        for item in record.get("annotations", ()):
            if item.get("iscrowd", 0):
                continue
            objects += 1
            if item.get("segmentation") is None:
                without += 1
                first = first or str(record.get("file_name"))
    if not without:
        return
    if without == objects:
        raise UserError(
            f"DATASETS.TRAIN = {tuple(names)} has boxes only: none of its {objects} annotations "
            f"has a segmentation. SOLO learns from masks: annotate polygons or RLE masks{WAYS_OUT}"
        )
    raise UserError(
        f"{without} of {objects} annotations of DATASETS.TRAIN = {tuple(names)} have no "
        f"segmentation, the first in {first}: add their masks, remove them, or mark them iscrowd"
    )


def check_boxes(records: Sequence[Record], names: Sequence[str]) -> None:
    """Stop if objects have neither a box nor a mask.

    Raises:
        UserError: If so; it names the first.
    """
    for record in records:
        for index, item in enumerate(record.get("annotations", ())):
            has_place = item.get("bbox") is not None or item.get("segmentation") is not None
            if not (has_place or item.get("iscrowd", 0)):
                raise UserError(
                    f"annotation {item.get('id', index)} of {record.get('file_name')}, of DATASETS.TRAIN = "
                    f"{tuple(names)}, has neither a bbox nor a segmentation: add its box, or remove it"
                )


def aspect_groups(records: Sequence[Record]) -> list[int]:
    """Return 1 for each record whose image is wider than high, and 0 for the others.

    Raises:
        UserError: If a record lacks width or height.
    """
    for record in records:
        if "width" not in record or "height" not in record:
            raise UserError(
                f"the record of {record.get('file_name')} has no width and height: add them, or "
                "set DATALOADER.ASPECT_RATIO_GROUPING to False"
            )
    return [int(record["width"] > record["height"]) for record in records]


def repeat_factors(cfg: CfgNode, records: Sequence[Record]) -> Sequence[float]:
    """Return how often each record appears in an epoch, on average.

    Raises:
        UserError: If DATALOADER.SAMPLER_TRAIN is none of the samplers.
    """
    sampler = choose(TrainSampler, cfg.DATALOADER.SAMPLER_TRAIN, "DATALOADER.SAMPLER_TRAIN")
    if sampler == TrainSampler.TRAINING:
        return [1.0] * len(records)
    factors = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
        records, cfg.DATALOADER.REPEAT_THRESHOLD
    )
    return factors.tolist()
