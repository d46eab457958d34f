import pytest

from solo.data.formats.coco_json import load_coco
from solo.data.formats.visdrone import CLASSES, looks_like_visdrone, read_visdrone
from solo.errors import UserError
from tests.data.annotated import scenes, write_images, write_visdrone

SCENES = scenes()
LINES = "10,20,30,8,1,4,0,1\n5,6,7,8,0,1,0,0,\n\n1,2,3,4,1,11,0,0\n40,30,20,10,0,0,0,0\n"


@pytest.fixture
def folder(tmp_path):
    """One image with a car, a pedestrian that is ignored, something of no class and a region without a look."""
    images = write_images(tmp_path / "images", SCENES[:1])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a b.txt").write_text(LINES)
    return tmp_path / "annotations", images


def test_objects_have_their_class_and_what_is_ignored_is_a_crowd(folder):
    (record,) = load_coco(*map(str, folder), "visdrone_test", "visdrone")
    objects = [item for item in record["annotations"] if not item["iscrowd"]]
    crowds = [item for item in record["annotations"] if item["iscrowd"]]
    assert [(CLASSES[o["category_id"]], o["bbox"]) for o in objects] == [("car", [10, 20, 30, 8])]
    assert (CLASSES[crowds[0]["category_id"]], crowds[0]["bbox"]) == ("pedestrian", [5, 6, 7, 8])
    # A region without a look is one for every class: COCO's rules know crowds of one class only.
    assert [item["category_id"] for item in crowds[1:]] == [*range(10)]
    assert all(item["bbox"] == [40, 30, 20, 10] for item in crowds[1:])
    assert (record["height"], record["width"]) == SCENES[0].size


def test_images_may_lie_in_folders(tmp_path):
    path, images = write_visdrone(tmp_path, SCENES)
    names = [image["file_name"] for image in read_visdrone(path, images)["images"]]
    assert names == ["a b.png", "empty.png", "sub/turned.jpg"]
    assert read_visdrone(tmp_path, images)["annotations"][0]["image_id"] == "a b.png"


@pytest.mark.parametrize(
    ("line", "reason"),
    [("1,2,3,4,1,2,0", "it has 7 numbers, where 8"), ("1,2,3,x,1,2,0,0", "could not convert")],
)
def test_what_cannot_be_understood_is_named(folder, line, reason):
    path, images = folder
    (path / "a b.txt").write_text(f"{LINES}{line}\n")
    with pytest.raises(UserError, match=rf"a b\.txt, line 6: .*{reason}"):
        read_visdrone(path, images)
    with pytest.raises(UserError, match="holds no txt file"):
        read_visdrone(images, images)


def test_a_class_that_there_is_not_stops(folder):
    (folder[0] / "a b.txt").write_text("1,2,3,4,1,12,0,0\n")
    with pytest.raises(UserError, match="no category has the id '12'"):
        load_coco(*map(str, folder), "visdrone_test", "visdrone")


def test_it_is_told_by_its_lines(folder):
    assert looks_like_visdrone(folder[0]) and looks_like_visdrone(folder[0] / "a b.txt")
    assert not looks_like_visdrone(folder[1]) and not looks_like_visdrone(folder[1] / "a b.png")
    (folder[0] / "a b.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    assert not looks_like_visdrone(folder[0])
