"""Which images an exported model is compared on."""

import cv2
import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from solo.config import get_cfg
from solo.export.samples import COUNT, images_to_compare


@pytest.fixture
def cfg():
    cfg = get_cfg()
    cfg.DATASETS.TEST = ("no_such_set", "export_held_out")
    return cfg


@pytest.fixture
def held_out(tmp_path):
    """Register 20 images; their gray levels are their numbers. Return the folder."""
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((4, 6, 3), number, dtype=np.uint8))
    records = [{"file_name": str(tmp_path / f"{number}.png")} for number in range(20)]
    DatasetCatalog.register("export_held_out", lambda: records)
    MetadataCatalog.get("export_held_out").set(json_file=str(tmp_path / "val.json"))
    yield tmp_path
    DatasetCatalog.remove("export_held_out")
    MetadataCatalog.remove("export_held_out")


def test_held_out_ones_where_they_are(cfg, held_out):
    (held_out / "val.json").write_text("{}")
    assert [image[0, 0, 0] for image in images_to_compare(cfg)] == list(range(0, 16, 2))


def test_made_up_ones_where_there_are_none(cfg, held_out):
    images = images_to_compare(cfg)
    assert len(images) == COUNT
    assert all(image.dtype == np.uint8 and image.std() > 20 for image in images)
    assert (images[0] != images[1]).any()


def test_those_that_are_named(cfg, held_out):
    (image,) = images_to_compare(cfg, [held_out / "7.png"])
    assert (image == 7).all()
    with pytest.raises(ValueError, match=r"none\.png: cannot be read"):
        images_to_compare(cfg, [held_out / "none.png"])


def test_given_ones_of_16_bits(cfg, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 6), 70 * 256 + 9, dtype=np.uint16))
    (image,) = images_to_compare(cfg, [tmp_path / "a.png"])
    assert image.shape == (4, 6, 3) and (image == 70).all()


def test_given_ones_without_a_range_are_refused(cfg, tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), np.ones((4, 6), dtype=np.float32))
    with pytest.raises(ValueError, match=r"a\.tif.*convert it to 8 bits"):
        images_to_compare(cfg, [tmp_path / "a.tif"])
