import sys

import numpy as np
import pycocotools.mask as mask_util
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from solo.data.checks import check_records
from solo.data.formats import register_voc
from solo.data.formats.voc import CLASS_NAMES, load_sbd, load_voc
from tests.data.miniatures import VOC_CLASSES, VOC_IDS, write_sbd, write_voc

NAMES = [f"voc_2012_inst_{split}" for split in ("train", "val", "trainval")]
NAMES += ["sbd_inst_train", "sbd_inst_val"]
CAT, PERSON = CLASS_NAMES.index("cat"), CLASS_NAMES.index("person")


@pytest.fixture
def root(tmp_path):
    """The names of VOC and SBD stand for miniatures, until the test ends."""
    write_voc(tmp_path)
    write_sbd(tmp_path)
    loaders = {name: DatasetCatalog.pop(name) for name in NAMES}
    register_voc(tmp_path)
    yield tmp_path
    for name, load in loaders.items():
        DatasetCatalog.remove(name)
        DatasetCatalog.register(name, load)


def test_voc_records(root):
    assert len(DatasetCatalog.get("voc_2012_inst_train")) == 1
    records = DatasetCatalog.get("voc_2012_inst_trainval")
    assert [record["file_name"][-15:] for record in records] == [
        "2007_000032.jpg",
        "2008_000019.jpg",
    ]
    assert (records[0]["height"], records[0]["width"]) == (64, 96)
    cat, person = records[0]["annotations"]
    assert (cat["category_id"], person["category_id"]) == (CAT, PERSON)
    assert np.array_equal(mask_util.decode(cat["segmentation"]), VOC_IDS == 1)
    assert person["bbox"] == [32, 12, 20, 40]
    assert np.array_equal(mask_util.decode(records[0]["void"]), VOC_IDS == 255)
    assert check_records(records, 20) == []


def test_the_class_of_an_instance_is_that_of_most_of_its_pixels(root):
    classes = VOC_CLASSES.copy()
    classes[10:12, 10:70] = 3  # some of the cat's pixels
    classes[30:40, 10:30] = 255  # more of them, but void
    path = root / "VOC2012" / "SegmentationClass" / "2007_000032.png"
    Image.fromarray(classes).save(path)
    (record,) = load_voc(root / "VOC2012", "train")
    assert [item["category_id"] for item in record["annotations"]] == [CAT, PERSON]
    classes[VOC_IDS == 1] = 255
    Image.fromarray(classes).save(path)
    with pytest.raises(ValueError, match=r"instance 1 of .*2007_000032\.jpg has no class"):
        load_voc(root / "VOC2012", "train")
    Image.fromarray(classes[:10]).save(path)
    with pytest.raises(ValueError, match=r"\(64, 96\) pixels, its class map \(10, 96\)"):
        load_voc(root / "VOC2012", "train")


def test_sbd_records(root):
    record, one = DatasetCatalog.get("sbd_inst_train")
    cat, person = record["annotations"]
    assert (cat["category_id"], person["category_id"]) == (CAT, PERSON)
    assert np.array_equal(mask_util.decode(cat["segmentation"]), VOC_IDS == 1)
    assert "void" not in record
    assert [item["category_id"] for item in one["annotations"]] == [CAT]
    assert check_records([record, one], 20) == []


def test_missing_files_and_packages_are_named(root, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"test\.txt does not exist: unpack"):
        load_voc(root / "VOC2012", "test")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ValueError, match="pip install scipy"):
        load_sbd(root / "benchmark_RELEASE" / "dataset", "train")


def test_the_classes_are_known_without_the_data():
    for name in NAMES:
        assert MetadataCatalog.get(name).thing_classes == list(CLASS_NAMES)


@pytest.mark.parametrize(
    ("train", "mask_format"), [("voc_2012_inst_trainval", "bitmask"), ("sbd_inst_train", "rle")]
)
def test_train_a_step_and_evaluate(root, train_and_evaluate, train, mask_format):
    results = train_and_evaluate(
        train, "voc_2012_inst_val", mask_format=mask_format, num_classes=20
    )
    assert {"bbox", "segm", "voc"} == set(results)
    assert {"APr50", "APr70", "APr_vol", "APr50-cat"} < set(results["voc"])
    assert 0 <= results["voc"]["APr50"] < 50
