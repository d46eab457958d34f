"""Objects that resizing leaves no pixel of are counted; what crops cut off is not."""

import multiprocessing

import numpy as np
import pytest
from detectron2.data import transforms as T
from pycocotools import mask as coco_mask

from solo.data.mapper import SOLODatasetMapper
from solo.data.vanished import VanishedObjects

LEFT = [[0, 2, 6, 2, 6, 20, 0, 20]]
RIGHT = [[12, 2, 14, 2, 14, 20, 12, 20]]
RELATIVE = [[0.2, 0.2, 0.4, 0.2, 0.4, 0.4]]  # shares of the image in place of pixels
BEYOND = [[200, 200, 240, 200, 240, 240]]  # of a larger version of the image


def as_rle(polygons):
    (rle,) = coco_mask.frPyObjects(polygons, 24, 16)
    return rle


def warnings_of(caplog, record, segmentations, *augmentations, times=10):
    """What is said of images with these objects, seen a number of times."""
    caplog.clear()
    items = [{**record["annotations"][0], "segmentation": each} for each in segmentations]
    mapper = SOLODatasetMapper(True, augmentations=augmentations, image_format="BGR")
    for _ in range(times):
        mapper({**record, "annotations": items})
    return caplog.messages


@pytest.mark.parametrize("gone", [RELATIVE, BEYOND, np.zeros((24, 16)), as_rle(RELATIVE)])
def test_objects_without_a_pixel_are_told_once(records, caplog, gone):
    (message,) = warnings_of(caplog, records[1], [LEFT, gone], T.VFlipTransform(24), times=20)
    assert message.startswith("10 of the first 20 objects have no pixel")


def test_up_to_a_tenth_is_nothing_to_speak_of(records, caplog):
    assert not warnings_of(caplog, records[1], [RELATIVE], times=9)
    assert not warnings_of(caplog, records[1], [LEFT] * 10 + [RELATIVE], times=40)


@pytest.mark.parametrize("form", [list, as_rle])
def test_what_a_crop_cuts_off_has_not_vanished(records, caplog, form):
    crop = T.CropTransform(0, 0, 8, 24)
    objects = [form(LEFT), form(RIGHT)]
    assert not warnings_of(caplog, records[1], objects, crop)
    assert not warnings_of(caplog, records[1], objects, crop, T.PadTransform(0, 0, 40, 0))
    assert warnings_of(caplog, records[1], objects, T.ResizeTransform(24, 16, 1, 1))


def test_processes_count_together(caplog):
    counts = VanishedObjects()
    worker = multiprocessing.get_context("fork").Process(target=counts.count, args=(3, 9))
    worker.start()
    worker.join()
    counts.count(0, 1)
    assert caplog.messages[0].startswith("10 of the first 13 objects")
