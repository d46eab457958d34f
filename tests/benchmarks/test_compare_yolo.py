"""Ours beside a rival: what is compared by, and what a row says. The rival itself is not installed."""

import json
import sys

import numpy as np
import pycocotools.mask as mask_util
import pytest
from compare_yolo import TheirSide, Turn, mask_ap, rows_of, threshold_of
from pycocotools.coco import COCO

from solo.errors import UserError


def detection(left, score, label=0):
    mask = np.zeros((20, 40), np.uint8, order="F")
    mask[4:16, left : left + 12] = 1
    rle = mask_util.encode(mask)
    return {**rle, "counts": rle["counts"].decode()}, label, score


@pytest.fixture
def truth(tmp_path):
    """Two images of two objects each, of the categories 3 and 7."""
    annotations = [
        {
            "id": 1 + len("ab") * image + place,
            "image_id": image,
            "category_id": (3, 7)[place],
            "segmentation": detection(20 * place, 1)[0],
            "area": 144,
            "bbox": [20 * place, 4, 12, 12],
            "iscrowd": 0,
        }
        for image in range(2)
        for place in range(2)
    ]
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 20, "width": 40} for i in range(2)],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "a"}, {"id": 7, "name": "b"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    return COCO(tmp_path / "a.json")


def test_ap_is_that_of_the_classes_found(truth):
    whole = [[detection(0, 0.9, 0), detection(20, 0.8, 1)]] * 2
    assert mask_ap(truth, whole, [3, 7]) == pytest.approx(100)
    half = [[detection(0, 0.9, 0), detection(20, 0.8, 0)]] * 2
    assert mask_ap(truth, half, [3, 7]) == pytest.approx(50, abs=1)
    assert mask_ap(truth, [[], []], [3, 7]) == 0


def test_the_threshold_leaves_as_many_as_asked_for():
    found = [[detection(0, 0.9), detection(0, 0.2)], [], [detection(0, 0.5), detection(0, 0.4)]]
    for count in (1, 3, 4, 9):
        threshold = threshold_of(found, count)
        shown = sum(score >= threshold for image in found for _, _, score in image)
        assert shown == min(count, 4)


def test_rows_are_medians_over_turns():
    images = [[detection(0, 0.9)], [detection(0, 0.8), detection(0, 0.7)]]
    turns = {
        "rival": [Turn(seconds, 0.5 * seconds, images) for seconds in (1, 2, 4)],
        "solo": [Turn(seconds, 0.1, images) for seconds in (1, 1, 1)],
    }
    rival, ours = rows_of(turns, {"rival": 3, "solo": 5})
    assert (rival.rate, rival.lowest, rival.highest, rival.ratio) == (1, 0.5, 2, 1)
    assert (ours.rate, ours.ratio, ours.ap) == (2, 2, 5)
    assert rival.network_ms == pytest.approx(500) and ours.network_ms == pytest.approx(50)
    assert ours.instances == 1.5


def test_a_rival_that_ends_is_told(tmp_path):
    side = TheirSide(sys.executable, tmp_path / "no.onnx", [], size=160, threads=1)
    with pytest.raises(UserError, match="The rival ended"):
        side(1, 0.5)
    side.close()
