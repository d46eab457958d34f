import json
import logging

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from solo.config import get_cfg
from solo.data.formats import register_coco_json
from solo.data.formats.coco_json import load_coco
from solo.data.segmentations import decode_mask
from tests.data.test_checks import HEIGHT, WIDTH, clean_document


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
    for wrong in ([name, json_file], name, [name, json_file, 3]):
        cfg = get_cfg()
        cfg.DATASETS.COCO_JSON = [wrong]
        with pytest.raises(ValueError, match=r"give \[name, json file, image folder\]"):
            register_coco_json(cfg)
    register_coco_json(config(data_set))
    other = tmp_path / "other.json"
    other.write_text((tmp_path / "train.json").read_text())
    with pytest.raises(ValueError, match="taken by another data set"):
        register_coco_json(config((name, str(other), images)))


def test_the_home_folder_may_be_written_as_a_tilde(data_set, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    register_coco_json(config((data_set[0], "~/train.json", "~")))
    assert DatasetCatalog.get("coco_json_test")[0]["file_name"] == str(tmp_path / "a.png")


def test_a_missing_file_is_named_when_it_is_read(data_set):
    name, _, images = data_set
    register_coco_json(config((name, f"{images}/missing.json", images)))
    with pytest.raises(FileNotFoundError, match=r"missing\.json"):
        DatasetCatalog.get(name)


def hand_made():
    """What converters leave out is missing: ids, areas, crowd flags and boxes."""
    document = clean_document()
    for item in document["annotations"]:
        for field in ("id", "bbox"):
            item.pop(field, None)
    return document


def test_all_forms_of_masks_and_sizes_load(write_json, tmp_path):
    first, second = load_coco(write_json(hand_made()), str(tmp_path), "coco_forms_test")
    assert second["file_name"] == str(tmp_path / "sub" / "b.png")
    assert (second["height"], second["width"]) == (HEIGHT, WIDTH)
    assert isinstance(second["height"], int), "the file says 20.0"
    assert [item["category_id"] for item in first["annotations"]] == [0, 0]
    crowd, square = second["annotations"]
    assert crowd["iscrowd"] == 1 and square["category_id"] == 1
    assert np.array_equal(
        decode_mask(crowd["segmentation"]), decode_mask(first["annotations"][1]["segmentation"])
    )
    metadata = MetadataCatalog.pop("coco_forms_test")
    assert metadata.thing_classes == ["cat", "dog"]
    assert metadata.thing_dataset_id_to_contiguous_id == {7: 0, 20: 1}


@pytest.mark.parametrize(
    ("section", "fields", "words"),
    [
        (
            "annotations",
            {"category_id": 8},
            "unknown category: images/a.png.*no category has the id 8",
        ),
        ("images", {"file_name": "../a.png"}, "file name that leaves the image folder: ../a.png"),
        ("images", {"id": 9}, "duplicate image id.*9 is taken"),
        ("images", {"height": None}, r"missing field.*images\[0\] has the height None"),
    ],
)
def test_what_makes_a_file_useless_is_named(write_json, section, fields, words):
    document = clean_document()
    document[section][0].update(fields)
    with pytest.raises(ValueError, match=rf"data\.json: {words}.*solo data check --annotations"):
        load_coco(write_json(document), "images", "coco_errors_test")
    assert "coco_errors_test" not in MetadataCatalog


def test_broken_polygons_and_strangers_are_left_out_and_said(write_json, caplog):
    document = clean_document()
    document["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    document["annotations"][3]["segmentation"].append([1, 2])
    document["annotations"][1]["image_id"] = 77
    with caplog.at_level(logging.WARNING):
        first, second = load_coco(write_json(document), "images", "coco_dropped_test")
    MetadataCatalog.pop("coco_dropped_test")
    assert "left out 2 annotations" in caplog.text and "solo data check" in caplog.text
    assert "annotation of an unknown image: annotation 6: no image has the id 77" in caplog.text
    assert first["annotations"] == [] and len(second["annotations"]) == 2
    assert len(second["annotations"][1]["segmentation"]) == 1


def test_a_file_that_is_mostly_broken_is_refused(write_json):
    document = clean_document()
    for item in document["annotations"][:3]:
        item["segmentation"] = [[1, 2, 3, float("nan"), 5, 6]]
    with pytest.raises(
        ValueError, match=r"only 1 of 4 annotations can be used; broken polygon: .*a\.png"
    ):
        load_coco(write_json(document), "images", "coco_errors_test")
    assert "coco_errors_test" not in MetadataCatalog


def test_train_a_step_and_evaluate(write_json, tmp_path, train_and_evaluate):
    document = hand_made()
    for image in document["images"]:
        path = tmp_path / image["file_name"]
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)
    register_coco_json(config(("hand_made", write_json(document), str(tmp_path))))
    results = train_and_evaluate("hand_made", "hand_made", num_classes=2)
    assert 0 <= results["segm"]["AP"] < 50 and "AP-dog" in results["bbox"]


def test_boxes_only_are_refused(write_json, tmp_path, train_and_evaluate):
    document = clean_document()
    for item in document["annotations"]:
        item["segmentation"] = []
    register_coco_json(config(("boxes", write_json(document), str(tmp_path))))
    with pytest.raises(ValueError, match="has boxes only: none of its 3 annotations"):
        train_and_evaluate("boxes", "boxes", num_classes=2)
