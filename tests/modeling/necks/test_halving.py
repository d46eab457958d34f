"""A level that comes halved out of its pyramid is the one that a head would have halved."""

import copy

import pytest
import torch
from detectron2.layers import Conv2d

from solo.modeling.fuse import prepare_for_inference
from solo.modeling.heads.base import resize
from solo.modeling.heads.solo import SOLOHead
from solo.modeling.necks import build_backbone
from solo.modeling.necks.halving import HalvingConv, halve_finest
from tests.conftest import build, make_cfg

LEVELS = ["p2", "p3", "p4", "p5", "p6"]
STRIDES = [8, 8, 16, 32, 32]


def convs_and_image():
    torch.manual_seed(0)
    plain = Conv2d(5, 7, 3, padding=1).double()
    halving = copy.deepcopy(plain)
    halving.__class__ = HalvingConv
    return plain, halving, torch.randn(2, 5, 6, 10, dtype=torch.float64, requires_grad=True)


def test_result_and_gradients_are_those_of_a_convolution_and_its_halving():
    plain, halving, image = convs_and_image()
    expected, actual = resize(plain(image), (3, 5)), halving(image)
    torch.testing.assert_close(actual, expected)
    direction = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(actual, (image, *halving.parameters()), direction),
        torch.autograd.grad(expected, (image, *plain.parameters()), direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_for_inference_it_becomes_a_plain_convolution():
    _, halving, image = convs_and_image()
    expected = halving(image)
    halving.keep_kernel()
    assert type(halving) is Conv2d and halving.kernel_size == (4, 4)
    torch.testing.assert_close(halving(image), expected)


@pytest.mark.parametrize("variant", ["SOLO", "DecoupledSOLO", "SOLOv2"])
def test_models_halve_what_nothing_else_reads(variant):
    model = build(make_cfg(variant))
    halves = variant != "SOLOv2"  # whose mask features read all of it
    assert (type(model.backbone.fpn_output2) is HalvingConv) == halves
    assert model.backbone.output_shape()["p2"].stride == (8 if halves else 4)
    image = torch.rand(1, 3, 64, 96)
    seen = model.head.level_features(model.backbone(image))
    if halves:
        model.backbone.fpn_output2.__class__ = Conv2d
    whole = model.backbone(image)["p2"]
    assert whole.shape[-2:] == (16, 24)
    torch.testing.assert_close(seen[0], resize(whole, (8, 12)))


@torch.no_grad()
@pytest.mark.parametrize("variant", ["SOLO", "DecoupledSOLO"])
def test_a_model_prepared_for_inference_sees_the_same(variant):
    cfg = make_cfg(variant)
    model, image = build(cfg).eval(), torch.rand(1, 3, 64, 64)
    expected = model.run_network(image).category_logits
    prepare_for_inference(model, cfg)
    assert not any(isinstance(part, HalvingConv) for part in model.modules())
    for actual, logits in zip(model.run_network(image).category_logits, expected, strict=True):
        torch.testing.assert_close(actual, logits, rtol=1e-3, atol=1e-4)


def keys(norm="", name=""):
    cfg = make_cfg("SOLO")
    cfg.MODEL.FPN.NORM, cfg.MODEL.NECK.NAME = norm, name
    return cfg


@pytest.mark.parametrize(
    ("cfg", "levels", "strides"),
    [
        (keys(), LEVELS, [4, *STRIDES[1:]]),
        (keys(), ["p2", "p2", *LEVELS[2:]], [8, 4, *STRIDES[2:]]),
        (keys(norm="GN"), LEVELS, STRIDES),
        (keys(name="pafpn"), LEVELS, STRIDES),
    ],
)
def test_all_else_stays_whole(cfg, levels, strides):
    backbone = build_backbone(cfg)
    halve_finest(backbone, levels, strides)
    assert backbone.output_shape()["p2"].stride == 4
    assert not any(isinstance(part, HalvingConv) for part in backbone.modules())


@pytest.mark.parametrize("method", ["forward", "level_features"])
def test_a_head_that_reads_features_itself_gets_them_whole(method):
    own = type("OwnHead", (SOLOHead,), {method: getattr(SOLOHead, method)})
    assert SOLOHead.reads_levels_only and not own.reads_levels_only
    assert type("Renamed", (SOLOHead,), {}).reads_levels_only
    says_so = {method: getattr(SOLOHead, method), "reads_levels_only": True}
    assert type("Declared", (SOLOHead,), says_so).reads_levels_only
