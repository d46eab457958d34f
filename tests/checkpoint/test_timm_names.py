"""Weights of timm as files: they fill the backbone of that model, and nothing else passes for it."""

import pytest
import torch
from safetensors.torch import save_file

from solo.checkpoint import SOLOCheckpointer
from solo.config.load import load_config
from solo.config.starting_weights import backbone_weights, starting_weights
from solo.errors import UserError
from tests.checkpoint.test_timm_weights import own_cache  # noqa: F401
from tests.conftest import build
from tests.modeling.backbones.test_from_timm import solo_cfg

timm = pytest.importorskip("timm", reason="timm is not installed: pip install timm")

MEAN = {"test_resnet": [127.5] * 3, "test_efficientnet": [123.675, 116.28, 103.53]}
STD = {"test_resnet": [127.5] * 3, "test_efficientnet": [58.395, 57.12, 57.375]}


def model_of(name, **values):
    cfg = solo_cfg(name, **values)
    family = "test_resnet" if name.startswith("t") and "resnet" in name else "test_efficientnet"
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD, cfg.INPUT.FORMAT = MEAN[family], STD[family], "RGB"
    return build(cfg)


def weights_of(name):
    torch.manual_seed(9)
    return timm.create_model(name).state_dict()


def assert_filled(model, weights):
    body = model.backbone.bottom_up.body.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in body.items())


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
# A ResNet has torchvision's names, which stand for detectron2's ResNet elsewhere.
@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet"])
def test_a_file_fills_the_backbone(name, suffix, tmp_path):
    weights, path, model = weights_of(name), tmp_path / f"weights{suffix}", model_of(name)
    head = {key: value.clone() for key, value in model.head.state_dict().items()}
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    SOLOCheckpointer(model).load(str(path))
    assert_filled(model, weights)
    assert all(torch.equal(value, head[key]) for key, value in model.head.state_dict().items())
    with pytest.raises(UserError, match=r"lacks \d+ tensors of the model"):
        SOLOCheckpointer(model, complete=True).load(str(path))


def test_weights_of_an_address_do_too(tmp_path):
    network = timm.create_model("test_efficientnet.r160_in1k")
    timm.models.save_for_hf(network, tmp_path)
    model = model_of("test_efficientnet.r160_in1k")
    SOLOCheckpointer(model).load(f"timm://local-dir:{tmp_path}")
    assert_filled(model, network.state_dict())


def test_a_checkpoint_of_the_whole_model_is_no_file_of_timm(tmp_path):
    model, other = model_of("test_resnet"), model_of("test_resnet")
    other.load_state_dict({key: value + 1 for key, value in model.state_dict().items()})
    SOLOCheckpointer(model, str(tmp_path)).save("model")
    SOLOCheckpointer(other, complete=True).load(str(tmp_path / "model.pth"))
    assert all(
        torch.equal(value, other.state_dict()[key]) for key, value in model.state_dict().items()
    )


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save(weights_of("test_convnext"), tmp_path / "a.pth")
    words = r"a\.pth is not of test_resnet of timm, .*: it lacks conv1\.0\.weight, .*; it has stem"
    with pytest.raises(UserError, match=words):
        SOLOCheckpointer(model_of("test_resnet")).load(str(tmp_path / "a.pth"))
    # More blocks than there are, and the zoo's ResNet of detectron2.
    more = {**weights_of("test_resnet"), "layer1.7.conv1.weight": torch.zeros(1)}
    torch.save(more, tmp_path / "b.pth")
    with pytest.raises(UserError, match=r"says: it has layer1\.7\.conv1\.weight\. Take"):
        SOLOCheckpointer(model_of("test_resnet")).load(str(tmp_path / "b.pth"))


def test_images_of_another_kind_are_refused(tmp_path):
    torch.save(weights_of("test_resnet"), tmp_path / "a.pth")
    model = build(solo_cfg("test_resnet"))
    with pytest.raises(UserError, match=r"Set .*MODEL\.PIXEL_MEAN \[127\.5, 127\.5, 127\.5\]"):
        SOLOCheckpointer(model).load(str(tmp_path / "a.pth"))


def as_efficientnet_pytorch(weights):
    """The names of EfficientNet-PyTorch, which number blocks through and have their own for layers."""
    blocks = list(
        dict.fromkeys(".".join(key.split(".")[:3]) for key in weights if key.startswith("blocks."))
    )
    expanding = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    theirs = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    plain = dict(zip(("conv_dw", "bn1", "conv_pw", "bn2"), theirs[2:], strict=True))
    outer = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    renamed = {}
    for key, value in weights.items():
        parts = key.split(".")
        if parts[0] == "blocks":
            block = ".".join(parts[:3])
            has = f"{block}.conv_pwl.weight" in weights
            names = dict(zip(expanding, theirs, strict=True)) if has else plain
            new = f"_blocks.{blocks.index(block)}.{names[parts[3]]}.{parts[4]}"
        else:
            new = f"{outer[parts[0]]}.{parts[1]}"
        renamed[new] = value
    return renamed


def test_efficientnets_of_others_have_the_same_layers(tmp_path):
    weights = weights_of("efficientnet_lite0")
    theirs = as_efficientnet_pytorch(weights)
    assert "_blocks.15._bn2.running_var" in theirs and "_fc.bias" in theirs
    torch.save(theirs, tmp_path / "a.pth")
    model = model_of("efficientnet_lite0")
    SOLOCheckpointer(model).load(str(tmp_path / "a.pth"))
    assert_filled(model, weights)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "timm://test_resnet.r160_in1k"),
        (["MODEL.TIMM.PRETRAINED", "True"], "timm://test_resnet.r160_in1k"),
        (["MODEL.TIMM.PRETRAINED", "False"], ""),
        (["MODEL.TIMM.PRETRAINED", "mine.safetensors"], "mine.safetensors"),
        (["MODEL.WEIGHTS", "whole.pth"], "whole.pth"),
    ],
)
def test_what_a_training_begins_with(options, expected, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(
        "MODEL: {DEVICE: cpu, SOLO: {NUM_CLASSES: 2}, META_ARCHITECTURE: SOLOv2, BACKBONE: {NAME: build_timm_fpn_backbone},"
        " TIMM: {NAME: test_resnet.r160_in1k, PRETRAINED: hub}}"
    )
    cfg = load_config(file, options)
    assert cfg.MODEL.WEIGHTS == starting_weights(cfg) == expected
    # A trained model is never filled from elsewhere.
    assert load_config(file, options, weights="trained.pth").MODEL.WEIGHTS == "trained.pth"
    assert load_config(file, [], weights="").MODEL.WEIGHTS == ""
    assert backbone_weights(cfg) != "whole.pth"
