"""The model as one graph, before anything is traced: it has to find what the model finds."""

import dataclasses

import numpy as np
import pytest
import torch

from solo.export.check import compare
from solo.export.runtime import prepare
from solo.export.wrapper import TraceableSOLO
from tests.export.conftest import NOTHING, PICTURES, lively_cfg, lively_model

VARIANTS = (
    *("SOLO", "DecoupledSOLO", "DecoupledSOLOLight", "SOLOv2", "SOLOv2DCN", "SOLOSoftmax"),
    *("SOLOv2Quality", "SOLOQuality"),
)


def metadata(network, *, size=None, post="nms"):
    return {
        "input": {
            "channels": "RGB",
            "size": size,
            "divisor": network.divisor,
            "short_edge": 100,
            "long_edge": 150,
            "pad_value": [128.0] * 3,
        },
        "mask_thresh": network.model.postprocessor.mask_thresh,
        "post": post,
        "num_candidates": network.num_candidates,
    }


def run(network):
    def on_arrays(inputs):
        with torch.no_grad():
            outputs = network(torch.from_numpy(inputs))
        return {name: output.numpy() for name, output in outputs.items()}

    return on_arrays


def lively(variant="SOLOv2", **test_keys):
    model = lively_model(lively_cfg(variant))
    model.postprocessor = dataclasses.replace(model.postprocessor, **test_keys)
    return model


def agreement(model, *, images=PICTURES, size=None, post="nms"):
    network = TraceableSOLO(model, suppress=post == "nms")
    return compare(model, run(network), images, metadata(network, size=size, post=post))


@pytest.mark.parametrize("variant", VARIANTS)
def test_finds_what_the_model_finds(variant):
    found = agreement(lively(variant))
    assert found.instances > 20
    assert not found.differences, found
    assert found.score_error < 1e-5 and found.mask_error <= 1


@pytest.mark.parametrize(
    "keys",
    [
        {"nms_kernel": "linear"},
        {"class_agnostic": True},
        {"max_instances": 7},
        {"update_thresh": 0.2},
        {"score_thresh": 0.3, "mask_thresh": 0.4},
        {"max_candidates": 40},
        {"labels_per_cell": 1},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_the_keys_of_the_test_procedure_count(keys):
    agreement(lively(**keys)).check()
    network, usual = TraceableSOLO(lively(**keys)), TraceableSOLO(lively())
    inputs = prepare(PICTURES[0], metadata(network)["input"])[0]
    found = [run(each)(inputs) for each in (network, usual)]
    assert found[0]["scores"].tolist() != found[1]["scores"].tolist()


def test_a_fixed_size_and_all_candidates():
    found = agreement(lively(), size=(128, 160), post="raw")
    found.check()
    assert found.instances > agreement(lively(), size=(128, 160)).instances


@pytest.mark.parametrize("post", ["nms", "raw"])
@pytest.mark.parametrize("variant", ["SOLO", "SOLOv2"])
def test_nothing_there(variant, post):
    model = lively(variant)
    network = TraceableSOLO(model, suppress=post == "nms")
    outputs = run(network)(np.full((1, 3, 96, 128), 128, dtype=np.float32))
    assert outputs["count"] == 0
    assert (outputs["scores"] == 0).all() and np.isfinite(outputs["masks"]).all()
    assert agreement(model, images=[NOTHING]).differences == []


def test_more_candidates_than_there_is_room_for():
    found = agreement(lively(pre_nms_topk=3))
    assert found.crowded == len(PICTURES)


def test_shapes_do_not_depend_on_the_image():
    network = TraceableSOLO(lively(), suppress=False)
    shapes = [
        {name: tuple(output.shape) for name, output in run(network)(image).items()}
        for image in np.stack([np.full((1, 3, 96, 128), 128), np.zeros((1, 3, 96, 128))]).astype(
            np.float32
        )
    ]
    assert shapes[0] == shapes[1]
    # 64 + 49 + 25 + 16 + 9 cells of 3 classes.
    assert shapes[0]["probabilities"] == (163, 3)
    assert shapes[0]["masks"] == (163 * 3, 24, 32)


def test_greedy_suppression_is_refused():
    model = lively(nms="mask")
    with pytest.raises(ValueError, match="--post raw"):
        TraceableSOLO(model)
    assert TraceableSOLO(model, suppress=False).num_candidates == 489
