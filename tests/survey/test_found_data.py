"""Data sets as people have them: what is trained on, what is evaluated with, and where the images are."""

import json
import shutil
from pathlib import Path

import pytest

from solo.errors import UserError
from solo.survey.found_data import find_data, role_of
from tests.data.annotated import (
    WRITERS,
    scenes,
    write_coco,
    write_labelme,
    write_visdrone,
    write_voc_xml,
    write_yolo,
)

ALL = {**WRITERS, "voc_xml": write_voc_xml, "visdrone": write_visdrone}


def written(form, folder):
    """Write three images and their annotations, without an object of several parts, which YOLO lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    path, images = ALL[form](folder, scenes(parts=False, holes=False))
    return str(path), Path(images)


def leaves(source):
    """Return what a source names below the images' folder that is a file, of the three images."""
    names = ("a b.png", "empty.png", "sub/turned.jpg")
    return [name for name in names if Path(source.images, name).is_file()]


@pytest.mark.parametrize("form", ALL)
def test_one_set_alone_is_found_in_every_format(form, tmp_path):
    path, images = written(form, tmp_path / "cats")
    found = find_data(tmp_path / "cats")
    assert found.name == "cats" and found.val is None and found.unused == ()
    assert (found.train.form, found.train.annotations) == (form, path)
    assert images.is_relative_to(found.train.images)


@pytest.mark.parametrize("form", set(ALL) - {"yolo"})
@pytest.mark.parametrize("parts", [("train", "valid"), ("training", "val"), ("train", "test")])
def test_folders_named_by_their_part_are_the_split(form, parts, tmp_path):
    paths = [written(form, tmp_path / part)[0] for part in parts]
    found = find_data(tmp_path)
    assert [found.train.annotations, found.val.annotations] == paths
    if form not in ("labelme", "voc_xml"):  # which name images from where their own file is
        assert [Path(one.images).parent.name for one in (found.train, found.val)] == list(parts)
        assert len(leaves(found.train)) == len(leaves(found.val)) == 3


@pytest.mark.parametrize("data", ["", "data.yaml"])
def test_the_splits_of_yolo(data, tmp_path):
    for part in ("train", "valid", "test"):
        write_yolo(tmp_path / part, scenes(parts=False, holes=False))
        (tmp_path / part / "data.yaml").unlink()
    text = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [a, b, c]\n"
    (tmp_path / "data.yaml").write_text(text)
    found = find_data(tmp_path / data)
    assert found.train.annotations == f"{tmp_path}/data.yaml:train"
    assert found.val == ("yolo", f"{tmp_path}/data.yaml:val", f"{tmp_path}/valid/images/train")
    assert found.unused == ("data.yaml:test (yolo)",)


@pytest.mark.parametrize("inner", ["labels/{}", "{}/labels"])
def test_labels_of_yolo_without_a_data_yaml(inner, tmp_path):
    for part in ("train", "val"):
        write_yolo(tmp_path / "given", scenes(parts=False, holes=False))
        for kind in ("labels", "images"):
            target = tmp_path / "cats" / inner.replace("labels", kind).format(part)
            shutil.copytree(tmp_path / "given" / kind / "train", target)
    (tmp_path / "cats" / "classes.txt").write_text("a\nb\nc\n")
    found = find_data(tmp_path / "cats")
    for part, source in (("train", found.train), ("val", found.val)):
        assert source.annotations == str(tmp_path / "cats" / inner.format(part))
        assert source.images == str(
            tmp_path / "cats" / inner.replace("labels", "images").format(part)
        )


def test_coco_as_it_is_downloaded(tmp_path):
    (tmp_path / "annotations").mkdir()
    for part in ("train2017", "val2017"):
        path, images = write_coco(tmp_path, scenes())
        images.rename(tmp_path / part)
        for task in ("captions", "instances", "panoptic", "person_keypoints"):
            shutil.copy(path, tmp_path / "annotations" / f"{task}_{part}.json")
        path.unlink()
    found = find_data(tmp_path)
    for part, source in (("train2017", found.train), ("val2017", found.val)):
        assert source.annotations == str(tmp_path / f"annotations/instances_{part}.json")
        assert source.images == str(tmp_path / part)
    alone = find_data(tmp_path / "annotations" / "instances_val2017.json")
    assert alone.train == found.val and alone.val is None and alone.name == tmp_path.name


def test_roboflow(tmp_path):
    for part in ("train", "valid", "test"):
        (tmp_path / part).mkdir()
        path, images = write_coco(tmp_path / part, scenes()[:2])
        path.rename(tmp_path / part / "_annotations.coco.json")
        for image in images.iterdir():
            image.rename(tmp_path / part / image.name)
    found = find_data(tmp_path)
    assert found.train == ("coco", f"{tmp_path}/train/_annotations.coco.json", f"{tmp_path}/train")
    assert found.val == ("coco", f"{tmp_path}/valid/_annotations.coco.json", f"{tmp_path}/valid")


def test_json_of_labelme_beside_the_images(tmp_path):
    folder, images = write_labelme(tmp_path, scenes())
    for file in [*folder.rglob("*.json")]:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        content["imagePath"] = Path(content["imagePath"]).name
        (images / file.relative_to(folder)).write_text(json.dumps(content))
    shutil.rmtree(folder)
    found = find_data(tmp_path / "images")
    assert found.train == ("labelme", str(images), str(images))


def test_several_sets_are_listed_with_the_flags(tmp_path):
    path, _ = write_coco(tmp_path, scenes())
    shutil.copy(path, tmp_path / "more.json")
    with pytest.raises(
        UserError, match=r"coco\.json \(coco\), more\.json \(coco\).*--annotations A"
    ):
        find_data(tmp_path)
    found = find_data(tmp_path, annotations=path, val_annotations=tmp_path / "more.json")
    assert (found.train.annotations, found.val.annotations) == (str(path), f"{tmp_path}/more.json")
    assert found.train.images == found.val.images == f"{tmp_path}/images"
    other = find_data(annotations=path, images=tmp_path / "a", val_annotations=path, val_images="b")
    assert (other.train.images, other.val.images) == (f"{tmp_path}/a", str(Path("b").absolute()))


def test_nothing_is_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="nosuch"):
        find_data(tmp_path / "nosuch")
    with pytest.raises(UserError, match="0 images and 0 other files"):
        find_data(tmp_path)
    _, images = write_coco(tmp_path, scenes())
    (tmp_path / "coco.json").write_text("{}")
    with pytest.raises(UserError, match=r"3 images and 1 other files.*--images D"):
        find_data(tmp_path)
    with pytest.raises(UserError, match="holds no annotations in a format"):
        find_data(tmp_path / "coco.json")
    with pytest.raises(UserError, match="nothing to train on"):
        find_data(val_annotations=images)


def test_images_that_lie_elsewhere_are_asked_for(tmp_path):
    (tmp_path / "here").mkdir()
    path, images = write_coco(tmp_path / "here", scenes())
    images.rename(tmp_path / "there")
    with pytest.raises(UserError, match=r"do not lie below .*here.*--images D"):
        find_data(tmp_path / "here")
    found = find_data(tmp_path / "here", images=tmp_path / "there")
    assert found.train == ("coco", str(path), f"{tmp_path}/there")


def test_what_cannot_be_read_of_other_files_is_passed_over(tmp_path):
    path, _ = write_coco(tmp_path, scenes())
    (tmp_path / "wallpapers.xml").write_text('<!DOCTYPE x SYSTEM "x.dtd"><annotations/>')
    assert find_data(tmp_path).train.annotations == str(path)
    with pytest.raises(UserError, match="DOCTYPE"):
        find_data(tmp_path / "wallpapers.xml")


def test_what_a_training_wrote_is_no_data(tmp_path):
    path, _ = write_coco(tmp_path, scenes())
    (tmp_path / "output" / "data").mkdir(parents=True)
    (tmp_path / "output" / "plan.yaml").touch()
    shutil.copy(path, tmp_path / "output" / "data" / "train.json")
    assert find_data(tmp_path).train.annotations == str(path)


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("instances_train2017.json", "train"),
        ("valid/_annotations.coco.json", "val"),
        ("train/test.json", "test"),
        ("trains/contest.json", ""),
    ],
)
def test_names_of_parts(path, role):
    assert role_of(Path(path)) == role
