"""What docs/interoperation.md shows, with the packages of others that it is about."""

import json

import cv2
import numpy as np
import pytest
from detectron2.data import MetadataCatalog
from detectron2.utils.visualizer import Visualizer

from solo import Predictor
from tests.docs.page_runner import blocks_of
from tests.documented_commands import ROOT
from tests.toy_folder import write_toys

FIRST, SUPERVISION, SAHI = (
    block.text
    for block in blocks_of(ROOT / "docs" / "interoperation.md")
    if block.language == "python"
)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the first block of the page leaves, in the folder with the run that it names."""
    write_toys(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(FIRST, names)
    assert isinstance(names["predictor"], Predictor) and len(names["instances"]) > 1
    return names


def test_supervision_has_masks_boxes_classes_and_draws_them(names):
    pytest.importorskip("supervision")
    exec(SUPERVISION, names)
    detections, instances = names["detections"], names["instances"]
    np.testing.assert_array_equal(detections.mask, instances.pred_masks)
    np.testing.assert_array_equal(detections.xyxy, instances.pred_boxes.tensor)
    np.testing.assert_array_equal(detections.confidence, instances.scores)
    np.testing.assert_array_equal(detections.class_id, instances.pred_classes)
    assert set(detections.data["class_name"]) == {"cat"}
    drawn = cv2.imread("annotated.png")
    covered = instances.pred_masks.numpy().any(0)
    assert (drawn != names["image"])[covered].any(1).mean() > 0.9
    half = detections[detections.confidence > float(np.median(detections.confidence))]
    assert 0 < len(half) < len(detections)


def test_sahi_finds_in_slices_what_the_predictor_finds_in_them(names):
    pytest.importorskip("sahi")
    exec(SAHI, names)
    found = names["result"].object_prediction_list
    assert found and {item.category.name for item in found} == {"cat"}
    assert {item.mask.full_shape_height for item in found} == {64}

    from sahi.predict import get_prediction

    alone = get_prediction("photo.jpg", names["model"]).object_prediction_list
    instances = names["instances"]
    expected = instances[instances.scores >= 0.1]
    assert len(alone) == len(expected)
    for item, mask, score in zip(alone, expected.pred_masks, expected.scores, strict=True):
        assert item.score.value == pytest.approx(float(score))
        both, either = item.mask.bool_mask & mask.numpy(), item.mask.bool_mask | mask.numpy()
        assert both.sum() > 0.6 * either.sum()


def test_results_are_those_of_coco_and_of_detectron2(names):
    records = names["predictor"].to_dicts(names["instances"])
    assert json.loads(json.dumps(records)) == records
    assert {"category_id", "bbox", "score", "segmentation"} <= records[0].keys()
    visualizer = Visualizer(names["image"][:, :, ::-1], MetadataCatalog.get("nothing of this name"))
    assert visualizer.draw_instance_predictions(names["instances"]).get_image().shape == (64, 64, 3)
