import pytest

from solo.data.training_records import training_records
from tests.data.batches import flat, take


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
