import json

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import register_coco_instances

from solo.config import get_cfg
from solo.data import dataset_class_names, dataset_classes, resolve_num_classes


def cfg_of(train=(), test=(), number=0):
    cfg = get_cfg()
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = train, test
    cfg.MODEL.SOLO.NUM_CLASSES = number
    return cfg


def test_number_comes_from_the_training_data(register):
    cfg = cfg_of((register([], thing_classes=["cat", "dog"]),))
    cfg.freeze()
    resolve_num_classes(cfg)
    assert cfg.MODEL.SOLO.NUM_CLASSES == 2
    assert cfg.is_frozen()


def test_ids_that_a_data_set_does_not_tell(register):
    names = {"thing_classes": ["cat", "dog"]}
    for more in ({}, {"thing_dataset_id_to_contiguous_id": {7: 0}}):
        classes = dataset_classes([register([], **names, **more)])
        assert classes == {"class_names": ["cat", "dog"], "category_ids": []}
    assert dataset_classes([]) == {"class_names": [], "category_ids": []}


def test_names_that_are_known_only_after_loading(tmp_path):
    path = tmp_path / "a.json"
    categories = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    register_coco_instances("lazy", {}, str(path), str(tmp_path))
    try:
        assert dataset_class_names(["lazy"]) == ["cat", "dog"]
        known = {"class_names": ["cat", "dog"], "category_ids": [7, 9]}
        assert dataset_classes(["lazy"]) == dataset_classes(["none", "lazy"]) == known
        cfg = cfg_of(("lazy",))
        resolve_num_classes(cfg)
        assert cfg.MODEL.SOLO.NUM_CLASSES == 2
    finally:
        DatasetCatalog.remove("lazy")
        MetadataCatalog.remove("lazy")


def test_missing_annotation_file_leaves_the_number_to_the_config(tmp_path):
    register_coco_instances("gone", {}, str(tmp_path / "gone.json"), str(tmp_path))
    try:
        cfg = cfg_of(("gone",), number=5)
        resolve_num_classes(cfg)
        assert cfg.MODEL.SOLO.NUM_CLASSES == 5
    finally:
        DatasetCatalog.remove("gone")
        MetadataCatalog.remove("gone")


def test_config_and_data_disagree(register):
    name = register([], thing_classes=["cat", "dog"])
    with pytest.raises(ValueError, match=r"NUM_CLASSES is 80, but .* has 2 classes \(cat, dog\)"):
        resolve_num_classes(cfg_of((name,), number=80))


@pytest.mark.parametrize("others", [["cat"], ["dog", "cat"]])
def test_train_and_test_disagree(register, others):
    train = register([], thing_classes=["cat", "dog"])
    test = register([], thing_classes=others)
    with pytest.raises(ValueError, match="disagree") as caught:
        resolve_num_classes(cfg_of((train,), (test,)))
    message = str(caught.value)
    assert f"{train} has 2 (cat, dog)" in message
    assert f"{test} has {len(others)} ({', '.join(others)})" in message


def test_number_is_not_known(register):
    with pytest.raises(ValueError, match=r"MODEL\.SOLO\.NUM_CLASSES.*DATASETS\.TRAIN"):
        resolve_num_classes(cfg_of((register([]),)))


def test_number_without_names_stays(register):
    cfg = cfg_of((register([]),), number=4)
    resolve_num_classes(cfg)
    assert cfg.MODEL.SOLO.NUM_CLASSES == 4
    assert dataset_class_names(cfg.DATASETS.TRAIN) == []


def test_classes_of_a_coco_file_are_known_without_loading_it(tmp_path, register):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"categories": [{"id": 9, "name": "dog"}, {"id": 7, "name": "cat"}]})
    )
    name = register([], json_file=str(path), evaluator_type="coco")
    DatasetCatalog[name] = lambda: pytest.fail("it is loaded")
    assert dataset_class_names(name) == ["cat", "dog"]
    assert MetadataCatalog.get(name).thing_dataset_id_to_contiguous_id == {7: 0, 9: 1}


def test_classes_of_a_checkpoint_come_first(register):
    cfg = cfg_of((register([], thing_classes=["cat", "dog"]),))
    resolve_num_classes(cfg, ["a", "b", "c"])
    assert cfg.MODEL.SOLO.NUM_CLASSES == 3
