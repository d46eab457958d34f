import json

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.config import get_cfg
from solo.data.datasets import register_coco_json


@pytest.fixture
def data_set(tmp_path):
    square = [[2, 2, 8, 2, 8, 8, 2, 8]]
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 10, "width": 10}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 7,
                "bbox": [2, 2, 6, 6],
                "area": 36,
                "iscrowd": 0,
                "segmentation": square,
            }
        ],
        "categories": [{"id": 7, "name": "cat"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(document))
    yield "coco_json_test", str(tmp_path / "train.json"), str(tmp_path)
    if "coco_json_test" in DatasetCatalog:
        DatasetCatalog.remove("coco_json_test")
        MetadataCatalog.remove("coco_json_test")


def config(*entries):
    cfg = get_cfg()
    cfg.DATASETS.COCO_JSON = [list(entry) for entry in entries]
    return cfg


def test_a_data_set_of_the_config_loads(data_set):
    register_coco_json(config(data_set))
    register_coco_json(config(data_set))  # twice: evaluation after training, in one process
    records = DatasetCatalog.get("coco_json_test")
    assert len(records) == 1 and records[0]["annotations"][0]["category_id"] == 0
    assert MetadataCatalog.get("coco_json_test").thing_classes == ["cat"]


def test_mistakes_are_named(data_set, tmp_path):
    name, json_file, images = data_set
    with pytest.raises(ValueError, match="give \\[name, json file, image folder\\]"):
        register_coco_json(config((name, json_file)))
    register_coco_json(config(data_set))
    other = tmp_path / "other.json"
    other.write_text((tmp_path / "train.json").read_text())
    with pytest.raises(ValueError, match="taken by another data set"):
        register_coco_json(config((name, str(other), images)))


def test_a_missing_file_is_named_when_it_is_read(data_set):
    name, _, images = data_set
    register_coco_json(config((name, f"{images}/missing.json", images)))
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        DatasetCatalog.get(name)
