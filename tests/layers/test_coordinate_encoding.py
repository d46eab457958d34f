"""In which features a place is told: by hand, in every model, and in the graph that is exported."""

import math

import pytest
import torch

from solo.export.torch_export import trace
from solo.export.wrapper import TraceableSOLO
from solo.layers.coordinates import Encoding, with_coordinates
from solo.modeling.fuse import prepare_for_inference
from tests.conftest import build, make_cfg, training_item
from tests.export.conftest import lively_cfg, lively_model
from tests.export.test_wrapper import agreement


def test_fourier_features_by_hand():
    encoding = Encoding("fourier", octaves=2)
    features = torch.zeros(1, 2, 3, 5)
    told = encoding.append(features, "xy")
    assert told.shape[1] == 2 + encoding.channels("xy") == 2 + 10
    y, x = 0.0, -0.5  # the middle row, the second column
    angles = [math.pi * x, math.pi * y, 2 * math.pi * x, 2 * math.pi * y]
    expected = [0, 0, x, y, *map(math.sin, angles), *map(math.cos, angles)]
    assert told[0, :, 1, 1].tolist() == pytest.approx(expected, abs=1e-6)
    alone = encoding.append(features, "y")
    assert encoding.channels("y") == 5 and torch.equal(alone[:, 2], told[:, 3])
    assert encoding.append(features.bfloat16()).dtype == torch.bfloat16


def test_linear_is_x_and_y_and_none_is_nothing():
    features = torch.rand(1, 2, 3, 5)
    assert torch.equal(Encoding().append(features), with_coordinates(features))
    assert Encoding().channels("x") == 1
    assert Encoding("none").append(features) is features and Encoding("none").channels() == 0
    assert Encoding("fourier").append(features, "") is features


@pytest.mark.parametrize("recompute", ["none", "cheap"])
@pytest.mark.parametrize("kind", ["fourier", "none"])
def test_every_variant_learns_and_finds(variant, kind, recompute):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.COORDINATES, cfg.MODEL.SOLO.RECOMPUTE = kind, recompute
    model = build(cfg)
    losses = model([training_item(), training_item(seed=1)])
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
    model.eval()([training_item()])


@pytest.mark.parametrize("kind", ["fourier", "none"])
@pytest.mark.parametrize("variant", ["SOLOv2", "SOLO"])
def test_the_graph_finds_what_the_model_finds(variant, kind):
    cfg = lively_cfg(variant)
    cfg.MODEL.SOLO.COORDINATES = kind
    agreement(lively_model(cfg)).check()


def test_an_exported_program_of_any_size():
    """Traced, coordinates are no constants of the first size."""
    cfg = lively_cfg("SOLOv2")
    cfg.MODEL.SOLO.COORDINATES, cfg.MODEL.SOLO.LOSS.SEMANTIC_WEIGHT = "fourier", 1.0
    model = lively_model(cfg)
    prepare_for_inference(model, cfg)
    network = TraceableSOLO(model).eval()
    program = trace(network)
    image = torch.rand(1, 3, 96, 128) * 255
    expected = network(image)
    for name, value in program.module()(image).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)
    assert "model.head.mask_feature.predictor.weight" in program.state_dict
    assert not any("semantic" in name for name in program.state_dict)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("COORDINATES", "polar", "COORDINATES is 'polar'; use one of linear, fourier, none"),
        ("COORDINATE_OCTAVES", 0, "COORDINATE_OCTAVES is 0; give 1 or more"),
    ],
)
def test_values_that_make_no_sense_are_named(key, value, message):
    cfg = make_cfg("SOLO")
    cfg.MODEL.SOLO[key] = value
    with pytest.raises(ValueError, match=message):
        build(cfg)
