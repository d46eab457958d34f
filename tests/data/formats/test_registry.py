"""What is written in one format is what is read from every other; none is taken for another."""

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data import transforms as T

from solo.config import get_cfg
from solo.data.formats import register_coco_json
from solo.data.formats.registry import FORMATS, find_format, read_annotations
from solo.data.kept_records import load_records
from solo.data.segmentations import moved_region
from solo.errors import UserError
from tests.data.annotated import (
    CLASSES,
    WRITERS,
    mask_of,
    scenes,
    write_coco,
    write_visdrone,
    write_voc_xml,
)

ALL = {**WRITERS, "voc_xml": write_voc_xml, "visdrone": write_visdrone}


def loaded(path, images, form="auto"):
    """Load a data set as a config names it; return its records by the end of the file name."""
    cfg = get_cfg()
    cfg.DATASETS.FILES = [["formats_test", form, str(path), str(images)]]
    register_coco_json(cfg)
    records = load_records("formats_test")
    return {str(record["file_name"]).removeprefix(f"{images}/"): record for record in records}


def masks_of(record):
    size = record["height"], record["width"]
    masks = []
    for item in record["annotations"]:
        mask = np.zeros(size, bool)
        region = moved_region(item, T.TransformList([]), size, size)
        mask[region.box.slices] = region.pixels
        masks.append(mask)
    return masks


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("told", ["auto", "by its name"])
def test_all_formats_give_the_same_masks(tmp_path, form, told):
    has_parts, has_masks = form in ("coco", "labelme", "cvat"), form in ("coco", "labelme", "cvat")
    written = scenes(parts=has_parts, holes=has_masks)
    records = loaded(*WRITERS[form](tmp_path, written), "auto" if told == "auto" else form)
    assert MetadataCatalog.get("formats_test").thing_classes == CLASSES
    assert set(records) == {scene.file_name for scene in written}
    for scene in written:
        record = records[scene.file_name]
        assert (record["height"], record["width"]) == scene.size
        labels = [CLASSES[item["category_id"]] for item in record["annotations"]]
        assert labels == [drawn.label for drawn in scene.objects]
        for mask, drawn in zip(masks_of(record), scene.objects, strict=True):
            expected = mask_of(drawn, scene.size)
            assert (mask & expected).sum() / (mask | expected).sum() > 0.99


@pytest.mark.parametrize("form", WRITERS)
def test_train_a_step_and_evaluate(tmp_path, form, train_and_evaluate):
    loaded(*WRITERS[form](tmp_path, scenes(parts=False, holes=False)))
    results = train_and_evaluate("formats_test", "formats_test", num_classes=len(CLASSES))
    assert 0 <= results["segm"]["AP"] < 50 and "AP-höhle" in results["bbox"]


def test_boxes_are_refused_in_a_sentence(tmp_path, train_and_evaluate):
    loaded(*write_voc_xml(tmp_path, scenes()))
    with pytest.raises(UserError, match="has boxes only: none of its 5 annotations"):
        train_and_evaluate("formats_test", "formats_test", num_classes=len(CLASSES))


@pytest.mark.parametrize("form", ALL)
def test_a_format_is_recognised_by_itself_only(tmp_path, form):
    path, _ = ALL[form](tmp_path, scenes(parts=False, holes=False))
    assert [other.name for other in FORMATS.values() if other.recognises(path)] == [form]


@pytest.mark.parametrize("form", ["labelme", "via"])
def test_another_format_that_is_given_as_coco_is_named(tmp_path, form):
    path, images = WRITERS[form](tmp_path, scenes(parts=False, holes=False))
    path = next(path.rglob("*.json")) if path.is_dir() else path
    with pytest.raises(UserError, match=f"and not in COCO's format: name the format {form} "):
        read_annotations(path, images, "coco")


def test_what_is_no_format_is_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_format(tmp_path / "nowhere")
    for name, text in {"a.txt": "cat", "b.xml": "<html/>", "d": ""}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match="is in none of the formats coco, yolo"):
            find_format(tmp_path / name)
    (tmp_path / "c.yaml").write_text("names: [")
    with pytest.raises(UserError, match=r"c\.yaml is no yaml"):
        read_annotations(tmp_path / "c.yaml:train", tmp_path)
    (tmp_path / "e.json").write_text("[]")
    with pytest.raises(UserError, match="is it a file of predictions"):
        read_annotations(tmp_path / "e.json", tmp_path)
    with pytest.raises(UserError, match="use one of auto, coco, yolo, labelme"):
        find_format(tmp_path, "yollo")


def test_entries_of_files_are_checked(tmp_path):
    path, images = write_coco(tmp_path, scenes())
    cfg = get_cfg()
    for entry in (["a", "coco", str(path)], "a", ["a", "coco", 3, "b"]):
        cfg.DATASETS.FILES = [entry]
        with pytest.raises(UserError, match=r"give \[name, format, path, image folder\]"):
            register_coco_json(cfg)
    cfg.DATASETS.FILES = [["formats_test", "voc", str(path), str(images)]]
    with pytest.raises(
        UserError, match=r"The format of formats_test in DATASETS\.FILES is 'voc'; us"
    ):
        register_coco_json(cfg)
    # The short form, and an entry of the same name and file, are one.
    cfg.DATASETS.FILES = [["formats_test", "coco", str(path), str(images)]]
    cfg.DATASETS.COCO_JSON = [["formats_test", str(path), str(images)]]
    register_coco_json(cfg)
    assert "formats_test" in DatasetCatalog
    cfg.DATASETS.FILES = [["formats_test", "via", str(path), str(images)]]
    with pytest.raises(UserError, match=r"DATASETS\.FILES: the name formats_test is taken"):
        register_coco_json(cfg)


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_coco(tmp_path, scenes())
    records = loaded("~/coco.json", "~/images")
    assert str(tmp_path / "images" / "a b.png") in {r["file_name"] for r in records.values()}
