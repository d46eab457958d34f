"""Backbones of timm: their features are timm's own, and what MODEL.TIMM says holds."""

import copy
import sys

import pytest
import torch
from detectron2.modeling import build_backbone
from torch.nn.modules.batchnorm import _BatchNorm

from solo.config import get_cfg
from solo.errors import MissingPackageError, UserError
from solo.layers.recompute import recompute_stages
from solo.modeling.backbones.for_inference import fuse_pairs
from solo.modeling.fuse import fuse_batch_norm, prepare_for_inference
from tests.conftest import build, make_cfg, training_item
from tests.yolox.conftest import make_yolox_cfg

timm = pytest.importorskip("timm", reason="timm is not installed: pip install timm")
pytest.importorskip("tests.toy_timm")


def timm_cfg(name="test_efficientnet", **values):
    cfg = get_cfg()
    cfg.MODEL.DEVICE, cfg.MODEL.BACKBONE.NAME = "cpu", "build_timm_backbone"
    cfg.MODEL.TIMM.NAME = name
    for key, value in values.items():
        cfg.MODEL.TIMM[key] = value
    return cfg


def build_timm(name="test_efficientnet", **values):
    torch.manual_seed(0)
    return build_backbone(timm_cfg(name, **values))


def solo_cfg(name="test_efficientnet", **values):
    """The tiny SOLOv2 of the tests on a backbone of timm."""
    cfg = make_cfg()
    cfg.MODEL.BACKBONE.NAME, cfg.MODEL.TIMM.NAME = "build_timm_fpn_backbone", name
    for key, value in values.items():
        cfg.MODEL.TIMM[key] = value
    return cfg


def draw_statistics(model):
    for part in model.modules():
        if isinstance(part, _BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)


def random_image(*size):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["test_efficientnet", "test_convnext", "toy_cspdarknet"])
def test_features_are_those_of_timm(name):
    ours = build_timm(name).eval()
    count = len(timm.create_model(name).feature_info)
    indices = tuple(range(count - 4, count))
    theirs = timm.create_model(name, features_only=True, out_indices=indices).eval()
    # Its names differ by underscores, its order is the same.
    values = list(ours.body.state_dict().values())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values, strict=True)))
    image = random_image(64, 96)
    shapes = ours.output_shape()
    with torch.no_grad():
        expected = dict(zip(theirs.feature_info.reduction(), theirs(image), strict=True))
        features = ours(image)
    assert list(features) == list(shapes) == ["res2", "res3", "res4", "res5"]
    assert ours.size_divisibility == 32
    for name, feature in features.items():
        assert feature.shape[1] == shapes[name].channels
        assert torch.equal(feature, expected[shapes[name].stride])


def test_swin_is_turned_and_takes_any_size():
    backbone = build_timm("toy_swin").eval()
    plain = []
    for layer in backbone.body.layers:
        layer.register_forward_hook(lambda *arguments: plain.append(arguments[-1]))
    with torch.no_grad():
        features = backbone(random_image(64, 160))
    assert [feature.shape[-2:] for feature in features.values()] == [
        (16, 40),
        (8, 20),
        (4, 10),
        (2, 5),
    ]
    for feature, theirs in zip(features.values(), plain, strict=True):
        assert torch.equal(feature.permute(0, 2, 3, 1), theirs)


def test_nothing_is_built_that_no_feature_needs():
    backbone = build_timm("mobilenetv3_small_050", OUT_INDICES=[1, 2])
    assert list(backbone.output_shape()) == ["res2", "res3"] and backbone.size_divisibility == 8
    sum(feature.sum() for feature in backbone(random_image(64, 64)).values()).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_features_are_normalised_where_asked():
    feature = build_timm("toy_convnext", OUT_NORM=True)(random_image(64, 64))["res3"]
    assert feature.mean(dim=1).abs().max() < 1e-5
    assert (feature.var(dim=1, unbiased=False) - 1).abs().max() < 1e-2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ""}, r"MODEL\.TIMM\.NAME is empty"),
        ({"name": "res2net50_26w_4"}, r"no model res2net50_26w_4; did you mean .*res2net50_26w_4s"),
        ({"name": "resnet18.a1_in2k"}, r"no weights a1_in2k of resnet18; those are .*a1_in1k"),
        ({"name": "hf-hub:timm/resnet18"}, r"has no model hf-hub:timm/resnet18"),
        (
            {"OUT_INDICES": [1, 9]},
            r"OUT_INDICES are \[1, 9\], and test_efficientnet has 5 features",
        ),
        ({"OUT_INDICES": [2, 1]}, r"have the strides \[2, 4, 8, 16, 32\]; a pyramid takes one"),
        ({"name": "vit_tiny_patch16_224", "OUT_INDICES": [0, 1]}, r"have the strides \[16, 16"),
        (
            {"FREEZE_AT": -1},
            r"FREEZE_AT is -1, and test_efficientnet has features of the strides 4",
        ),
        ({"name": "resnetv2_50x1_bit", "DROP_PATH": 0.5, "FREEZE_AT": -1}, r"FREEZE_AT is -1"),
        ({"name": "vgg11", "DROP_PATH": 0.5}, r"DROP_PATH: vgg11 drops no paths"),
    ],
)
def test_mistakes_are_named(values, words):
    with pytest.raises(UserError, match=words):
        build_timm(**values)


def test_without_timm_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackageError, match=r"needs timm, .*: pip install timm\.$"):
        build_timm()


@pytest.mark.parametrize(
    ("name", "freeze_at", "first"),
    [
        ("test_efficientnet", 1, "blocks.1."),
        ("test_efficientnet", 3, "blocks.3."),
        ("toy_res2net", 1, "layer1."),
        ("toy_cspdarknet", 2, "stages.2."),
        ("toy_swin", 2, "layers.1."),
        ("test_efficientnet", 5, None),
    ],
)
def test_the_first_stages_stay_as_they_are(name, freeze_at, first):
    backbone = build_timm(name, FREEZE_AT=freeze_at).train()
    frozen = [not parameter.requires_grad for parameter in backbone.parameters()]
    names = [key.removeprefix("body.") for key, _ in backbone.named_parameters()]
    count = next(
        (at for at, key in enumerate(names) if first and key.startswith(first)), len(names)
    )
    assert frozen == [True] * count + [False] * (len(names) - count) and count
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    backbone(random_image(64, 64))
    changed = {
        key for key, value in backbone.body.state_dict().items() if not value.equal(before[key])
    }
    assert not changed & {key for key in before if key.startswith(tuple(names[:count]))}
    assert not any(f"{key}.".startswith(("conv_stem.", "bn1.", "blocks.0.")) for key in changed)


def test_normalisation_stays_as_it_is():
    model = build(solo_cfg("toy_res2net", FREEZE_NORM=True)).train()
    before = copy.deepcopy(model.backbone.bottom_up.state_dict())
    sum(model([training_item(), training_item(seed=1)]).values()).backward()
    after = model.backbone.bottom_up.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    norms = [part for part in model.backbone.modules() if isinstance(part, _BatchNorm)]
    assert norms and not any(part.training or part.weight.requires_grad for part in norms)


def test_drop_path_leaves_blocks_out():
    backbone = build_timm("toy_convnext", DROP_PATH=0.9).train()
    image = random_image(64, 64)
    assert len({backbone(image)["res5"].sum().item() for _ in range(8)}) > 1
    assert len({backbone.eval()(image)["res5"].sum().item() for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("name", "values", "keeps_less"),
    [
        ("toy_swin", {"DROP_PATH": 0.5}, True),
        ("toy_res2net", {"FREEZE_NORM": True, "FREEZE_AT": 2}, True),
        ("toy_regnetx", {"FREEZE_NORM": True}, True),
        ("toy_res2net", {}, False),  # statistics would be gathered twice
    ],
)
def test_what_is_computed_again_gives_the_same_gradients(name, values, keeps_less):
    plain, lean = (build_timm(name, **values).train() for _ in range(2))
    recompute_stages(lean)
    kept = []
    for backbone in (plain, lean):
        torch.manual_seed(3)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor,
            lambda tensor: tensor,
        ):
            loss = sum(
                feature.square().sum() for feature in backbone(random_image(64, 64)).values()
            )
        loss.backward()
        kept.append(sum(sizes))
    for ours, theirs in zip(lean.parameters(), plain.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        assert ours.grad is None or torch.equal(ours.grad, theirs.grad)
    assert (kept[1] < kept[0]) == keeps_less


@pytest.mark.parametrize(
    "name", ["toy_res2net", "toy_cspdarknet", "tf_efficientnet_lite0", "toy_swin"]
)
def test_batch_normalisation_goes_into_the_convolutions(name):
    backbone = build_timm(name).eval()
    draw_statistics(backbone)
    with torch.no_grad():
        expected = backbone(random_image(64, 96))
        fuse_batch_norm(backbone)
        features = backbone(random_image(64, 96))
    assert not any(isinstance(part, _BatchNorm) for part in backbone.modules())
    for name, feature in features.items():
        torch.testing.assert_close(feature, expected[name], rtol=1e-4, atol=1e-4)


def test_normalisation_that_others_look_past_stays():
    class Two(torch.nn.Module):
        """A convolution whose output goes into its normalisation, and beside it."""

        def __init__(self):
            super().__init__()
            self.conv, self.bn = torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4)

        def forward(self, image):
            feature = self.conv(image)
            return feature + self.bn(feature)

    model = Two().eval()
    assert fuse_pairs(model, lambda: [model(random_image(8, 8).requires_grad_())]) == 0
    assert fuse_pairs(model, lambda: [model.bn(model.conv(random_image(8, 8)))]) == 1


@pytest.mark.parametrize("name", ["test_efficientnet", "toy_swin"])
def test_the_whole_model_runs_in_every_way(name):
    """Mixed precision, channels last, recomputation, a frozen backbone, inference: together."""
    cfg = solo_cfg(name, FREEZE_NORM=True)
    cfg.MODEL.MEMORY_FORMAT, cfg.MODEL.SOLO.RECOMPUTE = "channels_last", "cheap"
    cfg.MODEL.SOLO.FREEZE = "backbone"
    cfg.MODEL.SOLO.TEST.SCORE_THRESH = cfg.MODEL.SOLO.TEST.UPDATE_THRESH = 0.0
    model = build(cfg).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sum(model([training_item(), training_item(seed=1)]).values()).backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert not any(".bottom_up." in key for key, grad in gradients.items() if grad is not None)
    assert all(grad.isfinite().all() for grad in gradients.values() if grad is not None)
    prepare_for_inference(model, cfg)
    assert len(model([training_item()])[0]["instances"])


def test_yolox_takes_its_features():
    cfg = make_yolox_cfg(IN_FEATURES=["res3", "res4", "res5"], SPP=True)
    cfg.MODEL.BACKBONE.NAME, cfg.MODEL.TIMM.NAME = "build_timm_backbone", "test_efficientnet"
    model = build(cfg).train()
    sum(model([training_item(), training_item(seed=1)]).values()).backward()
    assert all(parameter.grad is not None for parameter in model.backbone.parameters())
    prepare_for_inference(model, cfg)
    assert len(model([training_item()])[0]["instances"])
