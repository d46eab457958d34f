"""A model that finds boxes as a graph, as files of both formats, and run without torch."""

import json

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import Boxes, Instances
from torch import nn

from solo.checkpoint import write_checkpoint
from solo.errors import UserError
from solo.export.boxes import TraceableBoxes, compare_boxes
from solo.export.check import MAX_SCORE_ERROR
from solo.export.export import ExportRequest, export_model
from solo.export.runtime import Frames, Model, finish, one_per_object, prepare
from solo.export.runtime import Instances as Found
from solo.inference import Predictor
from solo.layers import one_label
from tests.export.conftest import PICTURES
from tests.yolox.conftest import make_yolox, make_yolox_cfg

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="the extra `export` is not installed")


RULES = {
    "channels": "BGR",
    "size": None,
    "square": True,
    "divisor": 32,
    "short_edge": 128,
    "long_edge": 128,
    "pad_value": [114.0] * 3,
}


def lively_cfg(**test_keys):
    cfg = make_yolox_cfg()
    cfg.INPUT.MIN_SIZE_TEST = cfg.INPUT.MAX_SIZE_TEST = 128
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = ()
    cfg.MODEL.YOLOX.TEST.SCORE_THRESH = 0.3
    cfg.MODEL.YOLOX.TEST.NMS_THRESH = 0.3
    for key, value in test_keys.items():
        cfg.MODEL.YOLOX.TEST[key] = value
    return cfg


@torch.no_grad()
def enliven(model):
    """Spread scores and sizes: some points find something, others nothing."""
    generator = torch.Generator().manual_seed(5)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    batch = [torch.from_numpy(picture.transpose(2, 0, 1).copy()) for picture in PICTURES]
    model.train().run_network(model.preprocess([{"image": image} for image in batch]).tensor)
    head = model.eval().head
    # Sides are exponentials: small outputs keep rounding small.
    for predictors, spread in (
        (head.box_predictors, 0.05),
        (head.objectness_predictors, 0.2),
        (head.category_predictors, 0.2),
    ):
        for predictor in predictors:
            drawn = torch.randn(predictor.weight.shape, generator=generator)
            predictor.weight.copy_(spread * drawn)
            nn.init.zeros_(predictor.bias)
    return model


@pytest.fixture(scope="module")
def weights():
    return enliven(make_yolox()).state_dict()


def write_files(folder, weights, cfg):
    content = {"model": weights, "class_names": ["a", "b", "c"]}
    write_checkpoint(content, folder / "weights.pth")
    (folder / "config.yaml").write_text(cfg.dump())
    return {"config_file": folder / "config.yaml", "weights": str(folder / "weights.pth")}


def agreement(weights, others=None, *, post="nms", **test_keys):
    """Compare a model with the graph of it, or of one with other weights."""
    model, other = (build_model(lively_cfg(**test_keys)).eval() for _ in range(2))
    model.load_state_dict(weights)
    other.load_state_dict(others or weights)
    network = TraceableBoxes(other, suppress=post == "nms")

    @torch.no_grad()
    def run(inputs):
        return {name: value.numpy() for name, value in network(torch.from_numpy(inputs)).items()}

    return compare_boxes(model, run, PICTURES, {"input": RULES, "post": post})


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"CLASS_AGNOSTIC": True},
        {"NMS_THRESH": 0.7},
        {"MAX_DETECTIONS": 7},
        {"SCORE_THRESH": 0.0, "MAX_DETECTIONS": 5000},  # more than there are points
    ],
)
def test_the_graph_finds_what_the_model_finds(weights, keys):
    found = agreement(weights, **keys)
    found.check()
    assert (found.instances <= 21) == (keys.get("MAX_DETECTIONS") == 7)
    assert found.score_error < 1e-5 and found.box_error < 1e-3


def test_all_candidates(weights):
    found = agreement(weights, post="raw")
    found.check()
    assert found.instances > agreement(weights).instances


def test_what_differs_is_told(weights):
    moved = {key: value.clone() for key, value in weights.items()}
    for level in range(3):
        moved[f"head.box_predictors.{level}.bias"] += 0.1
    with pytest.raises(UserError, match=r"another box; .* pixels of the box, class"):
        agreement(weights, moved, NMS_THRESH=1.0).check()
    surer = {key: value.clone() for key, value in weights.items()}
    surer["head.objectness_predictors.0.bias"] += 0.1
    with pytest.raises(UserError, match=r"missing, class"):
        agreement(weights, surer).check()


def assert_alike(found, expected):
    assert len(found) == len(expected) > 3
    np.testing.assert_allclose(found.scores, expected.scores, atol=MAX_SCORE_ERROR, rtol=0)
    assert torch.equal(found.pred_classes, expected.pred_classes)
    np.testing.assert_allclose(found.pred_boxes.tensor, expected.pred_boxes.tensor, atol=0.1)
    assert not found.has("pred_masks") and not found.has("pred_rles")


# A few seconds to trace, and a few to translate.
@pytest.mark.slow
def test_onnx_finds_what_the_predictor_finds(weights, pictures, tmp_path):
    files = write_files(tmp_path, weights, lively_cfg())
    done = export_model(ExportRequest(**files, output=tmp_path / "out", images=pictures))
    assert done.agreement.instances > 21 and not done.agreement.differences
    assert "solo_runtime.py" in {path.name for path in (tmp_path / "out").iterdir()}
    predictor = Predictor.from_config(**files, device="cpu")
    exported = Predictor.from_onnx(done.path, threads=1)
    assert exported.tasks == predictor.tasks == ("bbox",)
    model = Model(done.path, threads=1)
    for picture in PICTURES:
        assert_alike(exported.raw(picture), predictor.raw(picture))
        assert_alike(exported(picture, threshold=0.35), predictor(picture, threshold=0.35))
        found = model(picture, threshold=0.35)
        expected = predictor(picture, threshold=0.35)
        np.testing.assert_allclose(found.boxes, expected.pred_boxes.tensor, atol=0.1)
        np.testing.assert_array_equal(found.classes, expected.pred_classes)
        assert found.masks.shape == (len(expected), 0, 0)
    assert len(model(PICTURES[0], threshold=1.0).scores) == 0
    (record, *_) = exported.to_dicts(exported.raw(PICTURES[0]))
    assert "segmentation" not in record and record["category_name"] in "abc"


@pytest.mark.slow
def test_a_program_of_one_size_without_suppression(weights, pictures, tmp_path):
    files = write_files(tmp_path, weights, lively_cfg())
    words = {"format": "torch_export", "post": "raw", "size": (96, 128)}
    request = ExportRequest(**files, output=tmp_path / "out", images=pictures, **words)
    assert export_model(request).agreement.instances > 21
    metadata = json.loads((tmp_path / "out" / "model.pt2.json").read_text())
    assert metadata["outputs"] == ["boxes", "classes", "scores", "count"]
    assert metadata["input"]["square"] and metadata["input"]["pad_value"] == [114.0] * 3


def test_images_are_padded_to_a_square():
    inputs, frames = prepare(PICTURES[0], RULES)  # 90 x 140
    assert (frames.resized, frames.padded) == ((82, 128), (128, 128))
    assert (inputs[0, :, 82:] == 114).all()
    assert prepare(PICTURES[0], {**RULES, "square": False})[1].padded == (96, 128)


def test_boxes_come_back_to_the_image_and_stay_inside_it():
    boxes = np.float32([[0, 0, 16, 8], [-4, -4, 40, 40], [33, 0, 64, 8], [2, 2, 3, 3]])
    outputs = {
        "boxes": boxes,
        "classes": np.array([0, 1, 2, 0]),
        "scores": np.float32([0.9, 0.8, 0.7, 0.0]),
        "count": np.array(3),
    }
    found = finish(outputs, Frames(padded=(64, 64), resized=(16, 32), original=(32, 96)), 0)
    assert found.boxes.tolist() == [[0, 0, 48, 16], [0, 0, 96, 32]]
    assert (
        found.classes.tolist() == [0, 1] and found.scores.tolist() == outputs["scores"][:2].tolist()
    )
    assert found.boxes.dtype == found.scores.dtype == np.float32


def test_boxes_of_one_object_are_one():
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4.9], [50, 0, 53, 3]])
    found = Found(np.zeros((4, 0, 0), bool), boxes, np.arange(4), np.float32([0.9, 0.8, 0.7, 0.6]))
    assert one_per_object(found).classes.tolist() == [0, 2, 3]
    instances = Instances((60, 60), pred_boxes=Boxes(torch.from_numpy(boxes)))
    instances.scores = torch.from_numpy(found.scores)
    instances.pred_classes = torch.arange(4)
    assert one_label.one_per_object(instances).pred_classes.tolist() == [0, 2, 3]
