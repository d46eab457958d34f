import json
import os

import numpy as np
import pytest
import yaml
from detectron2.data import MetadataCatalog
from detectron2.structures import BoxMode
from pycocotools.coco import COCO

from solo.cli.main import main
from solo.data.formats.coco_json import load_coco
from solo.data.formats.written_coco import drawn
from tests.data.annotated import CLASSES, WRITERS, mask_of, scenes, write_coco, write_voc_xml


def convert(path, images, to, out, *more):
    options = ["--annotations", str(path), "--images", str(images), "--to", to, str(out)]
    main(["data", "convert", *options, *more])


def masks_by_name(path, images, form="auto"):
    """Load a data set; return the class and the mask of each object of each image."""
    found = {}
    MetadataCatalog.pop("convert_test", None)
    for record in load_coco(str(path), str(images), "convert_test", form):
        name = os.path.relpath(record["file_name"], images)
        found[name] = []
        for item in record["annotations"]:
            region = drawn(item, record)
            mask = np.zeros((record["height"], record["width"]), bool)
            mask[region.box.slices] = region.pixels
            found[name].append((item["category_id"], mask))
    return found


def assert_drawn(found, written, threshold=0.99):
    assert set(found) == {scene.file_name for scene in written}
    for scene in written:
        for (category, mask), thing in zip(found[scene.file_name], scene.objects, strict=True):
            expected = mask_of(thing, scene.size)
            assert CLASSES[category] == thing.label
            assert (mask & expected).sum() / (mask | expected).sum() > threshold


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_becomes_coco(tmp_path, form, capsys):
    whole = form in ("coco", "labelme", "cvat")
    written = scenes(parts=whole, holes=whole)
    path, images = WRITERS[form](tmp_path, written)
    convert(path, images, "coco", tmp_path / "out.json")
    assert f"3 images, {5 if whole else 3} objects of 3 classes" in capsys.readouterr().out
    assert_drawn(masks_by_name(tmp_path / "out.json", images, "coco"), written)
    # COCO's own code finds all that it reads.
    api = COCO(str(tmp_path / "out.json"))
    for item in api.loadAnns(api.getAnnIds()):
        assert item["id"] and item["area"] == pytest.approx(api.annToMask(item).sum())
        assert len(item["bbox"]) == 4 and item["iscrowd"] == 0


def test_holes_and_parts_survive_yolo(tmp_path, capsys):
    written = scenes()
    path, images = write_coco(tmp_path, written)
    out = tmp_path / "yolo"
    convert(path, images, "yolo", out, "--link-images")
    assert capsys.readouterr().out.startswith(f"{out}: 3 images, 5 objects of 3 classes")
    found = masks_by_name(f"{out}/data.yaml:train", out / "images")
    assert_drawn(found, written)
    config = yaml.safe_load((out / "data.yaml").read_text(encoding="utf-8"))
    assert list(config["names"].values()) == CLASSES
    assert (out / "labels" / "empty.txt").read_text() == ""
    assert (out / "images" / "sub" / "turned.jpg").resolve() == images / "sub" / "turned.jpg"
    # ... and back again.
    convert(out, out / "images", "coco", tmp_path / "again.json", "--format", "yolo")
    assert_drawn(masks_by_name(tmp_path / "again.json", out / "images"), written)


def test_boxes_stay_boxes(tmp_path):
    path, images = write_voc_xml(tmp_path, scenes())
    convert(path, images, "yolo", tmp_path / "yolo")
    convert(tmp_path / "yolo" / "labels", images, "coco", tmp_path / "out.json")
    first = json.loads((tmp_path / "out.json").read_text())["annotations"][0]
    MetadataCatalog.pop("convert_test", None)
    (record, *_) = load_coco(str(path), str(images), "convert_test", "voc_xml")
    assert record["annotations"][0]["bbox_mode"] == BoxMode.XYWH_ABS
    assert first["bbox"] == pytest.approx(record["annotations"][0]["bbox"], abs=1e-3)
    assert "segmentation" not in first


def test_what_yolo_cannot_hold_is_counted(tmp_path, capsys):
    path, images = write_coco(tmp_path, scenes())
    document = json.loads(path.read_text())
    document["annotations"][0]["iscrowd"] = 1
    outside = [[-50, -50, -20, -50, -20, -20]]
    document["annotations"][1]["segmentation"] = outside
    # Leaves the image: other tools refuse corners outside of it.
    document["annotations"][2]["segmentation"] = [[-10, 5, 30, 5, 30, 40]]
    path.write_text(json.dumps(document))
    convert(path, images, "yolo", tmp_path / "yolo")
    text = capsys.readouterr().out
    assert "left out: 1 objects that are crowds, which the format does not know" in text
    assert "left out: 1 objects without a pixel in their image" in text
    assert f"The images are not copied: put those of {images} into" in text
    for line in (tmp_path / "yolo" / "labels" / "a b.txt").read_text().splitlines():
        assert all(0 <= float(number) <= 1 for number in line.split()[1:])


@pytest.mark.parametrize("to", ["coco", "yolo"])
def test_nothing_is_written_over(tmp_path, to):
    path, images = write_coco(tmp_path, scenes())
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "a").touch()
    for out, sentence in ((folder, "is a folder"), (path, "exists: choose another name")):
        with pytest.raises(SystemExit, match=f"error: .*{sentence}"):
            convert(path, images, to, out)
    assert json.loads(path.read_text()) and list(folder.iterdir()) == [folder / "a"]


def test_what_fails_leaves_nothing(tmp_path):
    path, images = write_coco(tmp_path, scenes())
    document = json.loads(path.read_text())
    document["images"][1]["file_name"] = "a b.jpg"
    path.write_text(json.dumps(document))
    before = set(tmp_path.iterdir())
    with pytest.raises(SystemExit, match=r"a b\.png and a b\.jpg would share the labels"):
        convert(path, images, "yolo", tmp_path / "out")
    assert set(tmp_path.iterdir()) == before


def test_an_empty_folder_is_filled(tmp_path):
    path, images = write_coco(tmp_path, scenes())
    (tmp_path / "out").mkdir()
    convert(path, images, "yolo", tmp_path / "out")
    assert (tmp_path / "out" / "data.yaml").is_file()


def test_links_are_yolos(tmp_path):
    with pytest.raises(SystemExit, match="--link-images goes with --to yolo"):
        convert(tmp_path, tmp_path, "coco", tmp_path / "out", "--link-images")
