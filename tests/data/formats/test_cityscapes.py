import sys

import numpy as np
import pycocotools.mask as mask_util
import pytest
from cityscapesscripts.helpers import labels
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets.cityscapes import _cityscapes_files_to_dict

from solo.config import get_cfg
from solo.data import resolve_num_classes
from solo.data.checks import check_records
from solo.data.formats import register_cityscapes
from solo.data.formats.cityscapes import CLASSES, load_cityscapes
from tests.data.miniatures import write_cityscapes


@pytest.fixture
def records(tmp_path):
    folder = write_cityscapes(tmp_path)
    return load_cityscapes(folder / "leftImg8bit/train", folder / "gtFine/train")


def test_records(records):
    assert [record["image_id"][:6] for record in records] == ["aachen", "bochum"]
    assert (records[0]["height"], records[0]["width"]) == (64, 96)
    group, left, right, car = records[0]["annotations"]
    assert [a["category_id"] for a in (group, left, right, car)] == [0, 0, 0, 2]
    assert [a["iscrowd"] for a in (group, left, right, car)] == [1, 0, 0, 0]
    assert left["bbox"] == [4, 8, 20, 32] and right["bbox"] == [24, 8, 20, 32]
    assert mask_util.area(car["segmentation"]) == 40 * 22
    assert check_records(records, len(CLASSES)) == []


def test_masks_are_those_that_detectron2_reads_from_the_same_files(records, monkeypatch):
    # detectron2's main branch asks for the scripts by a name that they have nowhere else.
    elsewhere = "deeplearning.projects.cityscapesApi.cityscapesscripts.helpers.labels"
    monkeypatch.setitem(sys.modules, elsewhere, labels)
    image = records[0]["file_name"]
    ids_file = image.replace("leftImg8bit.png", "gtFine_instanceIds.png")
    ids_file = ids_file.replace("leftImg8bit", "gtFine")
    theirs = _cityscapes_files_to_dict(
        (image, ids_file, "", ""), from_json=False, to_polygons=False
    )
    assert len(theirs["annotations"]) == 4
    for ours, other in zip(records[0]["annotations"], theirs["annotations"], strict=True):
        mask = mask_util.decode(other["segmentation"])
        assert np.array_equal(mask_util.decode(ours["segmentation"]), mask)
        assert list(CLASSES)[ours["category_id"]] == other["category_id"]


def test_the_names_and_classes_are_there_without_the_data():
    cfg = get_cfg()
    cfg.DATASETS.TRAIN = ("cityscapes_inst_train",)
    cfg.DATASETS.TEST = ("cityscapes_inst_val",)
    resolve_num_classes(cfg)
    assert cfg.MODEL.SOLO.NUM_CLASSES == 8
    builtin = MetadataCatalog.get("cityscapes_fine_instance_seg_val").thing_classes
    assert MetadataCatalog.get("cityscapes_inst_val").thing_classes == builtin


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="leftImg8bit_trainvaltest"):
        load_cityscapes(tmp_path, tmp_path)
    folder = write_cityscapes(tmp_path)
    next(folder.rglob("bochum*_instanceIds.png")).unlink()
    with pytest.raises(FileNotFoundError, match=r"bochum.*has no annotation"):
        load_cityscapes(folder / "leftImg8bit/train", folder / "gtFine/train")


@pytest.mark.parametrize("mask_format", ["bitmask", "rle"])
def test_train_a_step_and_evaluate(tmp_path, train_and_evaluate, mask_format):
    write_cityscapes(tmp_path)
    write_cityscapes(tmp_path, "val", images=1)
    prefix = f"mini_cityscapes_{mask_format}"
    register_cityscapes(tmp_path, prefix)
    assert len(DatasetCatalog.get(f"{prefix}_val")) == 1
    results = train_and_evaluate(
        f"{prefix}_train", f"{prefix}_val", mask_format=mask_format, num_classes=8
    )
    assert {"AP", "AP50", "AP-person"} < set(results["segm"])
    assert 0 <= results["segm"]["AP"] < 50
