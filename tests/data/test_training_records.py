import json

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import register_coco_instances

from solo.config import get_cfg
from solo.data.training_records import training_records
from tests.data.batches import flat, take
from tests.data.test_checks import HEIGHT, WIDTH, clean_document


def test_images_without_objects(trainable, records):
    for record in records[:6]:
        record["annotations"] = []
    kept = {item["image_id"] for batch in take(trainable, 3) for item in batch}
    assert kept == {6, 7, 8, 9}
    trainable.DATALOADER.FILTER_EMPTY_ANNOTATIONS = False
    items = flat(take(trainable, 5))
    assert {item["image_id"] for item in items} == set(range(10))
    assert {len(item["instances"]) for item in items} == {0, 1}


def test_rare_classes_are_repeated(trainable, records):
    for record in records:
        record["annotations"][0]["category_id"] = int(record["image_id"] == 7)
    trainable.DATALOADER.SAMPLER_TRAIN = "RepeatFactorTrainingSampler"
    trainable.DATALOADER.REPEAT_THRESHOLD = 0.9  # factor sqrt(.9 / .1) = 3
    ids = [item["image_id"] for batch in take(trainable, 6) for item in batch]
    assert sorted(ids[:12]) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8, 9]


def test_data_without_masks_or_images_is_refused(cfg, records, register):
    cfg.DATASETS.TRAIN = (register([], thing_classes=["a"]),)
    with pytest.raises(ValueError, match="empty"):
        training_records(cfg)
    del records[3]["annotations"][0]["segmentation"]
    cfg.DATASETS.TRAIN = (register(records, thing_classes=["a", "b"]),)
    with pytest.raises(ValueError, match=r"1 of 10 annotations.*3\.png"):
        training_records(cfg)
    for record in records:
        record["annotations"][0].pop("segmentation", None)
    with pytest.raises(ValueError, match="boxes only"):
        training_records(cfg)
    for record in records:
        record["annotations"] = []
    with pytest.raises(ValueError, match="cannot be trained on"):
        training_records(cfg)


def test_cocos_files_that_detectron2_registered_are_read_by_our_rules(tmp_path, caplog):
    document = clean_document()
    document["annotations"][1]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [10, 20]}
    path = tmp_path / "train.json"
    path.write_text(json.dumps(document))
    register_coco_instances("of_detectron2", {}, str(path), str(tmp_path))
    try:
        cfg = get_cfg()
        cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = ("of_detectron2",), ()
        records = training_records(cfg)
    finally:
        DatasetCatalog.remove("of_detectron2")
        MetadataCatalog.remove("of_detectron2")
    assert sum(len(record["annotations"]) for record in records) == 3
    assert "left out 1 annotations" in caplog.text
