import pytest

from solo.data.formats.coco_json import load_coco
from solo.data.formats.pascal_xml import looks_like_voc_xml, read_voc_xml
from solo.errors import UserError
from tests.data.annotated import CLASSES, mask_of, scenes, write_voc_xml

SCENES = scenes()


def test_boxes_are_the_bounds_of_what_is_drawn(tmp_path):
    folder, images = write_voc_xml(tmp_path, SCENES)
    document = read_voc_xml(folder, images)
    assert {image["file_name"] for image in document["images"]} == {s.file_name for s in SCENES}
    names = {category["id"]: category["name"] for category in document["categories"]}
    for scene in SCENES:
        found = [item for item in document["annotations"] if item["image_id"] == scene.file_name]
        assert [names[item["category_id"]] for item in found] == [d.label for d in scene.objects]
        for item, drawn in zip(found, scene.objects, strict=True):
            left, top, width, height = map(int, item["bbox"])
            mask = mask_of(drawn, scene.size)
            assert mask[top : top + height, left : left + width].sum() == mask.sum()
            assert mask[top].any() and mask[:, left].any()
            assert mask[top + height - 1].any() and mask[:, left + width - 1].any()
            assert "segmentation" not in item


def test_the_folder_above_will_do_and_classes_may_be_listed(tmp_path):
    _, images = write_voc_xml(tmp_path, SCENES)
    assert looks_like_voc_xml(tmp_path)
    (tmp_path / "labels.txt").write_text("\n".join(CLASSES))
    document = read_voc_xml(tmp_path, images)
    assert [category["name"] for category in document["categories"]] == CLASSES


@pytest.mark.parametrize("name", ["", "C:/x/a.png", "a.jpg", "wrong.png"])
def test_the_image_is_found(tmp_path, name):
    (tmp_path / "a.png").touch()
    path = tmp_path / "a.xml"
    path.write_text(
        f"<annotation><filename>{name}</filename><size><width>0</width></size></annotation>"
    )
    (image,) = read_voc_xml(path, tmp_path)["images"]
    assert image == {"id": "a.png", "file_name": "a.png"}, "a width of 0 is none"


def test_what_cannot_be_understood_is_named(tmp_path):
    path = tmp_path / "a.xml"
    item = "<object><name>cat</name><bndbox><xmin>x</xmin></bndbox></object>"
    path.write_text(f"<annotation>{item}</annotation>")
    with pytest.raises(UserError, match=r"a\.xml: object 1: .*'x'"):
        read_voc_xml(path, tmp_path)
    path.write_text("<annotation><object></annotation>")
    with pytest.raises(UserError, match=r"a\.xml is no XML: mismatched tag: line 1"):
        read_voc_xml(path, tmp_path)
    path.write_text("<annotations/>")
    with pytest.raises(UserError, match="no file of VOC's boxes"):
        read_voc_xml(path, tmp_path)
    path.write_text('<!DOCTYPE annotation [<!ENTITY a "b">]><annotation>&a;</annotation>')
    with pytest.raises(UserError, match="declares a DOCTYPE"):
        read_voc_xml(path, tmp_path)
    path.unlink()
    with pytest.raises(UserError, match="holds no xml file"):
        read_voc_xml(tmp_path, tmp_path)


def test_boxes_load_without_masks(tmp_path):
    folder, images = write_voc_xml(tmp_path, SCENES)
    records = load_coco(str(folder), str(images), "voc_boxes_test", "voc_xml")
    items = [item for record in records for item in record["annotations"]]
    assert len(items) == sum(len(scene.objects) for scene in SCENES)
    assert not any("segmentation" in item for item in items)
