import logging

import numpy as np
import pytest
from PIL import Image

from solo.data.formats.yolo import looks_like_yolo, read_yolo
from solo.errors import UserError
from tests.data.annotated import CLASSES, Drawn, Scene, mask_of, scenes, write_yolo

SCENES = scenes(parts=False, holes=False)


@pytest.fixture
def data(tmp_path):
    """A data set of 64 x 96 pixels with a triangle of class 1 and a box of class 0."""
    scene = Scene("a.png", (64, 96), [Drawn("dog", [[0, 0, 48, 0, 48, 32]])])
    path, images = write_yolo(tmp_path, [scene])
    with (tmp_path / "labels" / "train" / "a.txt").open("a") as file:
        file.write("\n0.0 0.5 0.25 0.5 0.125\n")
    return tmp_path, path, images


def write_line(root, line):
    (root / "labels" / "train" / "a.txt").write_text(f"{line}\n")


def test_segments_and_boxes_are_scaled_to_pixels(data):
    _, path, images = data
    document = read_yolo(path, images)
    assert document["images"] == [{"id": "a.png", "file_name": "a.png", "height": 64, "width": 96}]
    triangle, box = document["annotations"]
    assert triangle["id"] == "train/a.txt:1" and triangle["category_id"] == 1
    assert triangle["segmentation"] == [[0, 0, 48, 0, 48, 32]]
    assert box == {
        "id": "train/a.txt:3",
        "image_id": "a.png",
        "category_id": 0,
        "bbox": [24, 12, 48, 8],
    }
    assert [c["name"] for c in document["categories"]] == CLASSES


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1 0.1 x 0.2 0.3 0.4 0.5", r"a\.txt, line 1: .*could not convert string to float: 'x'"),
        ("cat 0.1 0.1 0.2 0.3 0.4 0.5", r"a\.txt, line 1: .*'cat'"),
        ("1.5 0.1 0.1 0.2 0.3 0.4 0.5", r"a\.txt, line 1: .*the class is 1\.5"),
        ("inf 0.1 0.1 0.2 0.3 0.4 0.5", r"a\.txt, line 1: .*the class is inf"),
    ],
)
def test_what_is_no_number_is_named_with_its_line(data, line, sentence):
    root, path, images = data
    write_line(root, line)
    with pytest.raises(UserError, match=sentence):
        read_yolo(path, images)


def test_numbers_are_left_to_the_loader(data):
    root, path, images = data
    write_line(root, "9 nan 0.1 0.2 1e9 0.4")
    (item,) = read_yolo(path, images)["annotations"]
    assert item["category_id"] == 9 and len(item["segmentation"][0]) == 5
    assert np.isnan(item["segmentation"][0][0])


def test_an_image_that_cannot_be_read_has_no_size(data):
    _, path, images = data
    (images / "a.png").write_bytes(b"\x89PNG broken")
    document = read_yolo(path, images)
    assert document["images"] == [{"id": "a.png", "file_name": "a.png"}]
    assert document["annotations"] == []


@pytest.mark.parametrize("entry", ["folder", "list", "file", "roboflow"])
def test_a_split_may_be_given_in_several_ways(tmp_path, entry):
    write_yolo(tmp_path, SCENES)
    listed = "".join(f"./images/train/{scene.file_name}\n" for scene in SCENES)
    (tmp_path / "train.txt").write_text(listed)
    value = {
        "folder": "images/train",
        "list": "[images/train/sub, images/train]",
        "file": "train.txt",
        "roboflow": "../images/train",
    }[entry]
    (tmp_path / "data.yaml").write_text(f"train: {value}\nnames: [cat, dog, x]\n")
    document = read_yolo(tmp_path / "data.yaml", tmp_path / "images")
    assert {image["id"] for image in document["images"]} == {
        f"train/{scene.file_name}" for scene in SCENES
    }
    assert len({item["id"] for item in document["annotations"]}) == 3


def test_the_last_folder_of_images_has_its_labels_beside_it(tmp_path):
    root = tmp_path / "images" / "my"
    root.mkdir(parents=True)
    path, images = write_yolo(root, SCENES)
    assert len(read_yolo(path, images)["annotations"]) == 3


def test_two_folders(tmp_path, caplog):
    _, images = write_yolo(tmp_path, SCENES)
    labels = tmp_path / "labels" / "train"
    (labels / "gone.txt").write_text("0 0.5 0.5 0.1 0.1")
    with caplog.at_level(logging.WARNING):
        first = read_yolo(labels, images)
    assert "1 files of labels have no image" in caplog.text and "gone.txt" in caplog.text
    (tmp_path / "data.yaml").unlink()
    assert looks_like_yolo(labels)
    with pytest.raises(UserError, match=r"no classes: write their names.*classes\.txt"):
        read_yolo(labels, images)
    (labels / "classes.txt").write_text("\n".join(CLASSES))
    assert looks_like_yolo(labels)
    assert read_yolo(labels, images) == first


def test_the_folder_of_a_data_yaml(tmp_path):
    path, images = write_yolo(tmp_path, SCENES)
    assert looks_like_yolo(tmp_path)
    assert read_yolo(tmp_path, images) == read_yolo(path, images), "train and val are the same"


def test_labels_of_other_images_are_refused(tmp_path):
    _, images = write_yolo(tmp_path, SCENES)
    (tmp_path / "labels" / "classes.txt").write_text("\n".join(CLASSES))
    with pytest.raises(UserError, match=r"no image has labels, and .*a b\.txt has no image: "):
        read_yolo(tmp_path / "labels", images)


def test_a_set_without_labels_is_told(data, caplog):
    root, path, images = data
    (root / "labels").rename(root / "label")
    with caplog.at_level(logging.WARNING):
        assert read_yolo(path, images)["annotations"] == []
    assert "no image has labels; there is no" in caplog.text


@pytest.mark.parametrize(
    ("text", "split", "sentence"),
    [
        (
            "train: images/train\nval: images/val\nnames: [a]",
            "",
            "has the splits train, val: name",
        ),
        ("train: images/train\nnames: [a]", "valid", r"not valid: name one.*data\.yaml:train"),
        ("train: images/nowhere\nnames: [a]", "train", "there is no .*images/nowhere: correct"),
        ("train: images/train", "train", r"has no names: list the classes"),
        (
            "train: images/train\nnames: [a, no]",
            "train",
            "the class False: put the name into quotes",
        ),
        ("train: images/train\nnames: [a, b]\nnc: 3", "train", "has 2 names, but nc is 3"),
        ("train: images/train\nnames: {a: 0}", "train", "names: it cannot be understood"),
        ("train: labels\nnames: [a]", "train", "no images in its train"),
        ("[1, 2]", "train", "is no data.yaml"),
        ("a: [", "train", "is no yaml: .*line"),
    ],
)
def test_a_data_yaml_that_is_not_as_it_should_be(data, text, split, sentence):
    root, _, images = data
    file = root / "data.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_yolo(file.with_name(f"data.yaml:{split}") if split else file, images)


def test_images_of_another_folder_are_refused(data):
    root, path, _ = data
    (root / "other").mkdir()
    with pytest.raises(UserError, match=r"does not lie in .*other: give a folder that holds all"):
        read_yolo(path, root / "other")


def test_as_supervision_reads_it(tmp_path):
    supervision = pytest.importorskip("supervision")
    big = Scene("big.png", (400, 600), [Drawn("cat", [[40.5, 30, 500, 60, 300.25, 350]])])
    path, images = write_yolo(tmp_path, [big])
    theirs = supervision.DetectionDataset.from_yolo(
        str(images), str(tmp_path / "labels" / "train"), str(tmp_path / "data.yaml")
    )
    ((_, _, detections),) = list(theirs)
    (item,) = read_yolo(path, images)["annotations"]
    ours = mask_of(Drawn("cat", item["segmentation"]), big.size)
    (mask,) = detections.mask
    assert (ours & mask).sum() / (ours | mask).sum() > 0.98  # it rounds corners to pixels
    assert Image.open(images / "big.png").size == (600, 400)
