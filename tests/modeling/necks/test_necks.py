"""Necks on detectron2's ResNet and on a backbone of timm: their numbers, their levels, their training."""

import pytest
import torch
from detectron2.modeling import build_model
from torch.nn import functional as F

from solo.errors import UserError
from solo.modeling.fuse import fuse_batch_norm
from solo.modeling.necks import BiFPN, build_backbone
from tests.conftest import build, make_cfg, training_item


def neck_cfg(name="", *, spp=False, norm=""):
    cfg = make_cfg()
    cfg.MODEL.NECK.NAME, cfg.MODEL.NECK.SPP, cfg.MODEL.FPN.NORM = name, spp, norm
    return cfg


def backbone_of(*args, **kwargs):
    torch.manual_seed(0)
    return build_backbone(neck_cfg(*args, **kwargs)).eval()


def image(*size):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))


def test_nothing_asked_for_is_what_the_builder_makes():
    assert type(backbone_of()).__name__ == "FPN"


def test_the_pyramid_is_that_of_detectron2():
    theirs, ours = backbone_of(norm="BN"), backbone_of("fpn", norm="BN")
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        expected, levels = theirs(image(64, 96)), ours(image(64, 96))
    assert ours.output_shape() == theirs.output_shape()
    assert ours.size_divisibility == theirs.size_divisibility
    assert list(levels) == list(expected)
    assert all(torch.equal(level, expected[name]) for name, level in levels.items())


def naive_bifpn(neck, laterals):
    """Equation 3 of arXiv 1911.09070 for five levels, written out."""
    levels = [*laterals, F.max_pool2d(laterals[-1], 3, 2, 1)]
    for one in neck.rounds:
        up = lambda x, like: F.interpolate(x, size=like.shape[-2:])  # noqa: E731
        down = lambda x: F.max_pool2d(x, 3, 2, 1)  # noqa: E731

        def node(fusion, *inputs):
            weights = fusion.weights.clamp(min=0)
            mixed = sum(w * x for w, x in zip(weights, inputs, strict=True)) / (
                weights.sum() + 1e-4
            )
            mixed = mixed * mixed.sigmoid()
            return fusion.pointwise(fusion.depthwise(mixed))

        p2, p3, p4, p5, p6 = levels
        m5 = node(one.down[3], p5, up(p6, p5))
        m4 = node(one.down[2], p4, up(m5, p4))
        m3 = node(one.down[1], p3, up(m4, p3))
        o2 = node(one.down[0], p2, up(m3, p2))
        o3 = node(one.up[0], p3, m3, down(o2))
        o4 = node(one.up[1], p4, m4, down(o3))
        o5 = node(one.up[2], p5, m5, down(o4))
        o6 = node(one.up[3], p6, down(o5))
        levels = [o2, o3, o4, o5, o6]
    return levels


def test_bifpn_computes_its_equation():
    neck = backbone_of("bifpn", norm="GN")
    assert isinstance(neck, BiFPN) and len(neck.rounds) == 3
    generator = torch.Generator().manual_seed(2)
    for key, parameter in neck.named_parameters():
        if key.endswith(".weights"):  # one is below zero, and so counts nothing
            parameter.data = torch.rand(parameter.shape, generator=generator) - 0.1
    # An odd side on top: P6 has half of it, rounded up.
    laterals = [
        torch.randn(1, 32, 8 * side, 12 * side, generator=generator)[..., : 5 * side]
        for side in (8, 4, 2, 1)
    ]
    with torch.no_grad():
        levels, expected = neck.combine(laterals), naive_bifpn(neck, laterals)
    for level, theirs in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, theirs, rtol=1e-5, atol=1e-5)


def test_spp_pools_before_the_pyramid():
    neck = backbone_of("fpn", spp=True)
    feature = torch.randn(1, 128, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        half = F.relu(neck.spp.reduce(feature))
        pooled = [half, *(F.max_pool2d(half, k, 1, k // 2) for k in (5, 9, 13))]
        expected = F.relu(
            F.conv2d(torch.cat(pooled, 1), neck.spp.expand.weight, neck.spp.expand.bias)
        )
        assert torch.equal(neck.spp(feature), expected)
        plain = backbone_of("fpn")
        plain.load_state_dict(neck.state_dict(), strict=False)
        with_, without = neck(image(64, 64)), plain(image(64, 64))
    assert not torch.equal(with_["p2"], without["p2"])


@pytest.mark.parametrize("backbone", ["resnet", "timm"])
@pytest.mark.parametrize(("name", "spp"), [("fpn", False), ("pafpn", False), ("bifpn", True)])
def test_each_neck_trains_and_finds(backbone, name, spp):
    cfg = neck_cfg(name, spp=spp, norm="BN")
    if backbone == "timm":
        pytest.importorskip("timm", reason="timm is not installed: pip install timm")
        cfg.MODEL.BACKBONE.NAME, cfg.MODEL.TIMM.NAME = "build_timm_backbone", "test_efficientnet"
    cfg.MODEL.SOLO.RECOMPUTE = "cheap"
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    model = build(cfg).train()
    shapes = model.backbone.output_shape()
    assert {key: (shape.stride, shape.channels) for key, shape in shapes.items()} == {
        f"p{level}": (2**level, 32) for level in range(2, 7)
    }
    sum(model([training_item(), training_item(seed=1)]).values()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    model.eval()
    with torch.no_grad():
        expected = model.backbone(image(64, 96))
        fuse_batch_norm(model)
        levels = model.backbone(image(64, 96))
    for key, level in levels.items():
        torch.testing.assert_close(level, expected[key], rtol=1e-3, atol=1e-3)
    assert len(model([training_item()])[0]["instances"])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("NECK.NAME", "panet", r"MODEL\.NECK\.NAME is 'panet'; use one of fpn, pafpn, bifpn"),
        ("NECK.REPEATS", 0, r"MODEL\.NECK\.REPEATS is 0"),
        ("FPN.IN_FEATURES", ["res3", "res6"], r"names res6; the backbone gives res2, res3"),
        ("FPN.IN_FEATURES", ["res2", "res4"], r"have the strides \[4, 16\]"),
    ],
)
def test_mistakes_are_named(key, value, words):
    cfg = neck_cfg("bifpn")
    cfg.MODEL.BACKBONE.NAME = "build_resnet_backbone"
    node, leaf = key.split(".")
    cfg.MODEL[node][leaf] = value
    with pytest.raises(UserError, match=words):
        build_model(cfg)
