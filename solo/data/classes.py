"""How many classes there are, and their names: from the data sets, checked against the config."""

import logging
from collections.abc import Sequence
from typing import TypedDict

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, Metadata, MetadataCatalog

from solo.architectures import class_key, class_node
from solo.data.formats.coco_categories import read_categories
from solo.data.identities import Identity
from solo.data.kept_records import load_records
from solo.errors import UserError

logger = logging.getLogger(__name__)


def dataset_class_names(dataset_names: str | Sequence[str]) -> list[str]:
    """Return the class names of data sets, those of the first that has any.

    Args:
        dataset_names: As registered with detectron2; one name, or several of which the first that
            knows its classes answers.

    Returns:
        The names in the order of the model's class channels; empty if no data set has names.
    """
    names = [dataset_names] if isinstance(dataset_names, str) else list(dataset_names)
    return next(filter(None, map(_class_names, names)), [])


class DatasetClasses(TypedDict):
    """What a checkpoint keeps of the classes of data sets.

    `category_ids` are the data set's own, in the order of the names; empty where it has none, as a format that
    knows names only.
    """

    class_names: list[str]
    category_ids: list[Identity]


def dataset_classes(dataset_names: Sequence[str]) -> DatasetClasses:
    """Return the classes of the data set that :func:`dataset_class_names` answers for."""
    for name in dataset_names:
        if names := _class_names(name):
            to_class = MetadataCatalog.get(name).get("thing_dataset_id_to_contiguous_id") or {}
            ids = {channel: number for number, channel in to_class.items()}
            known = [ids[channel] for channel in range(len(names)) if channel in ids]
            return {"class_names": names, "category_ids": known if len(known) == len(names) else []}
    return {"class_names": [], "category_ids": []}


def resolve_num_classes(cfg: CfgNode, class_names: Sequence[str] = ()) -> None:
    """Set NUM_CLASSES of the model, in place, to the number of classes of DATASETS.TRAIN.

    A number that is set already, stays; it must then agree with the data sets. A frozen config
    is frozen again afterwards.

    Args:
        cfg: The config.
        class_names: Those that a checkpoint knows; data sets are asked if there are none.

    Raises:
        UserError: If the key and the data sets, or the data sets among each other, disagree, or
            if none of them says how many classes there are.
    """
    number = len(class_names) or check_class_counts(cfg)[0]
    node = class_node(cfg)
    if number == node.NUM_CLASSES:
        return
    frozen = cfg.is_frozen()
    cfg.defrost()
    node.NUM_CLASSES = number
    if frozen:
        cfg.freeze()


def check_class_counts(cfg: CfgNode) -> tuple[int, list[str]]:
    """Return the number of classes that config and data sets agree on, and their names.

    Returns:
        The number, which NUM_CLASSES 0 of the model leaves to the data sets, and the names in the
        order of the model's class channels: empty if no data set has names.

    Raises:
        UserError: If they disagree, or if none of them says how many classes there are.
    """
    number = class_node(cfg).NUM_CLASSES
    source = ""
    names: list[str] = []
    for key in ("TRAIN", "TEST"):
        for dataset in cfg.DATASETS[key]:
            if not (found := dataset_class_names(dataset)):
                continue
            if names and found != names:
                raise UserError(
                    f"the data sets disagree about the classes: {source} has {len(names)} "
                    f"({', '.join(names)}), DATASETS.{key} {dataset} has {len(found)} "
                    f"({', '.join(found)}). Train and test on the same classes"
                )
            if not names:
                source, names = f"DATASETS.{key} {dataset}", found
    if number > 0 and names and number != len(names):
        raise UserError(
            f"{class_key(cfg)} is {number}, but {source} has {len(names)} classes "
            f"({', '.join(names)}): set the key to {len(names)}, or to 0 to take it from the data"
        )
    if number <= 0 and not names:
        raise UserError(
            f"the number of classes is not known: DATASETS.TRAIN {tuple(cfg.DATASETS.TRAIN)} and "
            f"DATASETS.TEST {tuple(cfg.DATASETS.TEST)} name none. Set {class_key(cfg)}, or "
            "DATASETS.TRAIN to a registered data set whose metadata has thing_classes"
        )
    return (number if number > 0 else len(names)), names


def _class_names(name: str) -> list[str]:
    """Return the names that metadata, or else a file's categories, or else the loading tells."""
    if name not in DatasetCatalog and name not in MetadataCatalog:
        return []  # an error of its own, for whoever loads it
    metadata = MetadataCatalog.get(name)
    if metadata.get("thing_classes") is None and name in DatasetCatalog:
        try:
            if not _tell_categories(metadata):
                load_records(name)
        except OSError as error:
            # Evaluation needs no training data, and must run where there is none.
            logger.warning("the class names of %s are not known: %s", name, error)
    return list(metadata.get("thing_classes") or ())


def _tell_categories(metadata: Metadata) -> bool:
    """Tell the metadata the categories of its file, as the loading would, if that is one of COCO's."""
    is_coco = metadata.get("evaluator_type") == "coco" and metadata.get("json_file")
    if not is_coco or (categories := read_categories(metadata.json_file)) is None:
        return False
    metadata.set(
        thing_classes=list(categories.values()),
        thing_dataset_id_to_contiguous_id={number: i for i, number in enumerate(categories)},
    )
    return True
