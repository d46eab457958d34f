"""What a found data set becomes: files as they are where they say the split, else two written ones."""

import json
import os

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.config import get_cfg
from solo.data import load_records
from solo.data.formats import register_coco_json
from solo.data.formats.coco_json import read_usable
from solo.errors import UserError
from solo.survey.data_entries import data_entries
from solo.survey.found_data import FoundData, Source, find_data
from tests.data.annotated import (
    WRITERS,
    Drawn,
    Scene,
    scenes,
    write_coco,
    write_labelme,
    write_voc_xml,
)
from tests.data.formats.conftest import forget  # noqa: F401


def squares(number, classes=("cat",)):
    """Images of one square each, of the classes in turn."""
    return [
        Scene(
            f"{index}.png",
            (32, 48),
            [Drawn(classes[index % len(classes)], [[4, 4, 20, 4, 20, 20, 4, 20]])],
        )
        for index in range(number)
    ]


def loaded(entry):
    cfg = get_cfg()
    cfg.DATASETS.FILES = [list(entry)]
    register_coco_json(cfg)
    return load_records(entry[0])


def masks(records):
    """Return the polygons of images by their names, and class names for channels."""
    return {
        os.path.realpath(record["file_name"]): [
            [polygon.tolist() for polygon in item["segmentation"]] for item in record["annotations"]
        ]
        for record in records
    }


@pytest.mark.parametrize("form", WRITERS)
def test_a_set_alone_is_parted_and_its_images_stay(form, tmp_path):
    (tmp_path / "cats").mkdir()
    WRITERS[form](tmp_path / "cats", squares(10))
    found = find_data(tmp_path / "cats")
    data = data_entries(found, tmp_path / "out")
    assert data.class_names[0] == "cat" and len(data.records) == 8 and data.num_val == 2
    parts = [loaded(data.train), loaded(data.val)]
    assert [len(part) for part in parts] == [8, 2]
    whole = read_usable(found.train.annotations, found.train.images, "x", form).records
    both = {**masks(parts[0]), **masks(parts[1])}
    assert len(both) == 10
    for name, polygons in masks(whole).items():
        assert both[name] == [[pytest.approx(one, abs=1e-5) for one in part] for part in polygons]
    assert sorted(os.listdir(tmp_path / "out")) == ["train.json", "val.json"]


def test_the_parts_do_not_depend_on_order_and_ids(tmp_path):
    path, _ = write_coco(tmp_path, squares(20))
    content = json.loads(path.read_text())
    turned = {
        **content,
        "images": [{**one, "id": 99 - one["id"]} for one in content["images"]],
        "annotations": [
            {**one, "image_id": 99 - one["image_id"]} for one in content["annotations"]
        ],
    }
    names = []
    for number, document in enumerate((content, turned)):
        path.write_text(json.dumps(document))
        data = data_entries(find_data(path), tmp_path / f"out{number}")
        names.append(
            {record["file_name"] for record in read_usable(*data.val[2:], "x", "coco").records}
        )
    assert names[0] == names[1] and len(names[0]) == 4


def test_files_that_say_the_split_stay_what_they_are(tmp_path):
    for part in ("train", "val"):
        (tmp_path / "cats" / part).mkdir(parents=True)
        write_coco(tmp_path / "cats" / part, squares(4))
    found = find_data(tmp_path / "cats")
    data = data_entries(found, tmp_path / "out")
    assert data.train == ("cats_train", *found.train) and data.val == ("cats_val", *found.val)
    assert not (tmp_path / "out").exists()
    assert any("without an object to train on: dog, höhle" in note for note in data.notes)


def test_parts_of_other_classes_get_those_of_both(tmp_path):
    for part, classes in (("train", ("dog", "cat")), ("val", ("ant", "dog"))):
        (tmp_path / part).mkdir()
        folder, _ = write_labelme(tmp_path / part, squares(4, classes))
        (folder / "labels.txt").unlink(missing_ok=True)
    data = data_entries(find_data(tmp_path), tmp_path / "out")
    assert data.class_names == ["cat", "dog", "ant"]
    parts = [loaded(data.train), loaded(data.val)]
    found = [
        {item["category_id"] for record in part for item in record["annotations"]} for part in parts
    ]
    assert found == [{0, 1}, {1, 2}]
    names = [MetadataCatalog.get(entry[0]).thing_classes for entry in (data.train, data.val)]
    assert names == [data.class_names] * 2


def test_one_image_is_both(tmp_path):
    write_coco(tmp_path, squares(1))
    data = data_entries(find_data(tmp_path), tmp_path / "out")
    assert len(data.records) == data.num_val == 1
    assert "there is no other" in data.notes[0]


def test_boxes_alone_are_refused(tmp_path):
    write_voc_xml(tmp_path, scenes(parts=False, holes=False))
    with pytest.raises(UserError, match=r"has boxes only.*annotate polygons"):
        data_entries(find_data(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_objects_are_one_sentence(tmp_path):
    path, images = write_coco(
        tmp_path, [Scene("a.png", (32, 48), []), Scene("b.png", (32, 48), [])]
    )
    found = FoundData("cats", Source("coco", str(path), str(images)), None)
    with pytest.raises(UserError, match=r"coco\.json has no object to learn from"):
        data_entries(found, tmp_path / "out")


def test_a_name_that_is_taken_becomes_another(tmp_path):
    path, images = write_coco(tmp_path, squares(5))
    assert "digits_train" in DatasetCatalog
    found = FoundData("digits", Source("coco", str(path), str(images)), None)
    first = data_entries(found, tmp_path / "out")
    assert first.train[0] == "my_digits_train" and len(loaded(first.train)) == 4
    # Once more, as with --overwrite.
    assert data_entries(found, tmp_path / "out").train == first.train
