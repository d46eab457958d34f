"""Graphs of fixed shapes: they find what the model finds, and have nothing that TensorRT refuses.

TensorRT itself is not here: what it takes is told by the table of its parser, see `solo.export.tensorrt_rules`.
"""

import json

import numpy as np
import pytest
import torch

from solo.config.load import inference_config
from solo.export.check import compare
from solo.export.export import ExportRequest, export_model
from solo.export.runtime import Model, prepare
from solo.export.static_graph import OUTPUT_NAMES, StaticSOLO, static_size
from solo.inference import Predictor
from solo.layers.masks import masks_to_boxes
from tests.export.conftest import NOTHING, PICTURES
from tests.export.test_wrapper import VARIANTS, lively, metadata, run

SIZE = (128, 160)


def static(model, **keys):
    network = StaticSOLO(model)
    return network, metadata(network, size=SIZE, **keys)


@pytest.mark.parametrize("variant", VARIANTS)
def test_finds_what_the_model_finds(variant):
    model = lively(variant)
    network, described = static(model)
    found = compare(model, run(network), PICTURES, described)
    assert found.instances > 20
    assert not found.differences, found
    assert found.score_error < 1e-5 and found.mask_error <= 1


@pytest.mark.parametrize(
    "keys",
    [{"nms_kernel": "linear"}, {"max_candidates": 40, "pre_nms_topk": 40}, {"max_instances": 7}],
    ids=lambda keys: next(iter(keys)),
)
def test_the_keys_of_the_test_procedure_count(keys):
    model = lively(**keys)
    network, described = static(model)
    compare(model, run(network), PICTURES, described).check()


def test_more_candidates_than_there_is_room_for_are_told():
    model = lively(pre_nms_topk=3)
    network, described = static(model)
    assert compare(model, run(network), PICTURES, described).crowded == len(PICTURES)


def test_shapes_and_boxes():
    network, described = static(lively())
    found, none = (
        run(network)(prepare(image, described["input"])[0]) for image in (PICTURES[0], NOTHING)
    )
    # 100 detections of 163 cells of 3 classes.
    shapes = {name: found[name].shape for name in OUTPUT_NAMES}
    assert shapes == {
        **{"boxes": (100, 4), "scores": (100,), "classes": (100,)},
        **{"masks": (100, *SIZE), "count": ()},
    }
    assert shapes == {name: output.shape for name, output in none.items()}
    hard = torch.from_numpy(found["masks"] > described["mask_thresh"])
    np.testing.assert_array_equal(found["boxes"], masks_to_boxes(hard).numpy())
    assert found["count"] > 3 and none["count"] == 0 and not none["scores"].any()
    assert np.isfinite(none["masks"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["SOLOv2", "SOLO", "DecoupledSOLO"])
def test_a_file_for_tensorrt_runs_everywhere(variant, files, pictures, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from solo.export.tensorrt_rules import refusals

    model = files(variant)
    done = export_model(ExportRequest(**model, output=tmp_path, static=True, images=pictures))
    assert done.agreement.instances > 20
    assert refusals(onnx.load(done.path)) == []
    described = json.loads((tmp_path / "model.onnx.json").read_text())
    # Images are resized to 100 pixels, the longer side to 150 at most; multiples of 32.
    assert described["static"] and described["input"]["size"] == [128, 160]
    exported = Predictor.from_onnx(done.path, threads=1).raw(PICTURES[0])
    # In both, 90 x 140 pixels become 103 x 160.
    opts = ["INPUT.MIN_SIZE_TEST", "103", "INPUT.MAX_SIZE_TEST", "160"]
    expected = Predictor.from_config(**model, device="cpu", opts=opts).raw(PICTURES[0])
    assert len(exported) == len(expected) > 3
    np.testing.assert_allclose(exported.scores, expected.scores, atol=1e-3)
    assert len(Model(done.path, threads=1)(NOTHING).scores) == 0


def test_what_makes_no_static_graph_is_refused(files, tmp_path, monkeypatch):
    monkeypatch.setattr("solo.export.export.trace", None)
    model = files("SOLOv2")
    for keys, opts, said in (
        ({"post": "raw"}, (), "leave --post raw out"),
        ({}, ("MODEL.SOLO.TEST.NMS", "mask"), "go.* one by one"),
        ({}, ("INPUT.MIN_SIZE_TEST", "0"), "as --size 640x640"),
    ):
        request = ExportRequest(**model, output=tmp_path, static=True, opts=opts, **keys)
        with pytest.raises(ValueError, match=said):
            export_model(request)


def test_the_size_of_the_config(files):
    cfg = inference_config(**files("SOLOv2"), device="cpu", opts=())
    cfg.defrost()
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST = 800, 1333
    assert static_size(cfg, 32) == (800, 1344)
