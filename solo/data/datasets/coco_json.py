"""Data sets in COCO's format that the config names: no Python is needed to train on one's own."""

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import register_coco_instances


def register_coco_json(cfg: CfgNode) -> None:
    """Register the entries of DATASETS.COCO_JSON, each [name, json file, image folder].

    A name that is registered with the same files stays as it is. Files are not looked at: a demo or
    an evaluation needs no training data.

    Args:
        cfg: The config.

    Raises:
        ValueError: If an entry is no such triple, or its name stands for other files.
    """
    for entry in cfg.DATASETS.COCO_JSON:
        if len(entry) != 3 or not all(isinstance(part, str) for part in entry):
            raise ValueError(
                f"DATASETS.COCO_JSON has the entry {entry}; give [name, json file, image folder]."
            )
        name, json_file, image_root = entry
        if name not in DatasetCatalog:
            register_coco_instances(name, {}, json_file, image_root)
        elif MetadataCatalog.get(name).get("json_file") != json_file:
            raise ValueError(
                f"DATASETS.COCO_JSON: the name {name} is taken by another data set; choose another."
            )
