"""ImageNet weights as torchvision publishes them: recognised, checked, and put into the backbone alone."""

import logging

import pytest
import torch
from detectron2.modeling import build_model
from torch import nn
from torchvision.models import resnet

from solo import model_zoo
from solo.checkpoint import Lineage, SOLOCheckpointer, recognise, to_solo, write_checkpoint
from solo.checkpoint.lineages import part_of
from solo.errors import UserError
from tests.conftest import build, make_cfg

# Depth, groups and channels of a group; the last one is a thin ResNeXt.
NETWORKS = {
    "resnet18": (resnet.resnet18, 18, 1, 64),
    "resnet34": (resnet.resnet34, 34, 1, 64),
    "resnext": (
        lambda: resnet.ResNet(resnet.Bottleneck, [3, 4, 6, 3], groups=8, width_per_group=4),
        50,
        8,
        4,
    ),
}


def make_backbone_cfg(name):
    """A tiny head on a backbone of torchvision's widths."""
    _, depth, groups, width = NETWORKS[name]
    cfg = make_cfg()
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    cfg.INPUT.FORMAT = "RGB"
    node = cfg.MODEL.RESNETS
    node.DEPTH, node.NUM_GROUPS, node.WIDTH_PER_GROUP = depth, groups, width
    node.STEM_OUT_CHANNELS, node.RES2_OUT_CHANNELS = 64, 64 if depth < 50 else 256
    node.NORM, node.STRIDE_IN_1X1 = "FrozenBN", False
    return cfg


def make_network(name):
    torch.manual_seed(1)
    network = NETWORKS[name][0]().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight.data, module.running_var):
                value.uniform_(0.5, 1)
            for value in (module.bias.data, module.running_mean):
                value.uniform_(-0.2, 0.2)
    return network


def features_of(network, images):
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    stages = {}
    for number in range(1, 5):
        x = stages[f"res{number + 1}"] = getattr(network, f"layer{number}")(x)
    return stages


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_backbone_computes_what_torchvisions_does(name, zipped, tmp_path, caplog):
    network, model = make_network(name), build(make_backbone_cfg(name)).eval()
    head = {key: value.clone() for key, value in model.head.state_dict().items()}
    path = tmp_path / f"{name}-01234567.pth"
    # Old files hold parameters.
    weights = network.state_dict() if zipped else network.state_dict(keep_vars=True)
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    checkpointer = SOLOCheckpointer(model, class_names=["a", "b", "c"])
    checkpointer.logger = logging.getLogger("test_torchvision_backbones")

    with caplog.at_level(logging.INFO, logger="test_torchvision_backbones"):
        checkpointer.load(str(path))

    images = torch.randn(1, 3, 64, 96)
    actual, expected = model.backbone.bottom_up(images), features_of(network, images)
    assert actual.keys() == expected.keys()
    for stage, feature in expected.items():
        torch.testing.assert_close(actual[stage], feature, rtol=1e-4, atol=1e-4)
    for key, value in model.head.state_dict().items():
        assert torch.equal(value, head[key]), key
    matched = sum(not key.endswith("num_batches_tracked") for key in weights) - 2  # without fc
    assert f"torchvision checkpoint: {matched} matched, 0 missing, 0 unexpected" in caplog.text
    others = len(model.state_dict()) - matched
    assert f"Only the backbone was filled: {others} other tensors of the model" in caplog.text


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("solov2_light_448_R_18_FPN_3x", "resnet18"),
        ("solov2_light_448_R_34_FPN_3x", "resnet34"),
        ("solov2_dcn_X_101_64x4d_FPN_3x", "resnext101_64x4d"),
    ],
)
def test_the_configs_take_the_files_that_they_name(config, name):
    cfg = model_zoo.get_config(f"coco/{config}.yaml")
    assert f"solo://imagenet/{name}" == cfg.MODEL.WEIGHTS
    cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        weights, model = getattr(resnet, name)().state_dict(), build_model(cfg).state_dict()
    assert recognise(weights) is Lineage.TORCHVISION
    shapes = {key: value.shape for key, value in to_solo(weights).weights.items()}
    assert shapes == {
        key: value.shape for key, value in part_of(Lineage.TORCHVISION, model).items()
    }


def saved(name, tmp_path):
    path = tmp_path / f"{name}.pth"
    write_checkpoint(make_network(name).state_dict(), path)
    return str(path)


def test_other_images_are_refused(tmp_path):
    path = saved("resnext", tmp_path)
    cfg = make_backbone_cfg("resnext")
    cfg.INPUT.FORMAT, cfg.MODEL.PIXEL_STD = "BGR", [1.0, 1.0, 1.0]
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = True
    with pytest.raises(UserError) as told:
        SOLOCheckpointer(build(cfg)).load(path)
    assert "INPUT.FORMAT RGB (it is BGR)" in str(told.value)
    assert "MODEL.PIXEL_STD [58.395, 57.12, 57.375]" in str(told.value)
    assert "MODEL.RESNETS.STRIDE_IN_1X1 False (it is True)" in str(told.value)


@pytest.mark.parametrize(
    ("file", "model", "words"),
    [
        (
            "resnet18",
            "resnet34",
            r"(?s)another model.*missing: backbone\.bottom_up\.res2\.2\.conv1",
        ),
        ("resnet34", "resnet18", r"(?s)another model.*unexpected: backbone\.bottom_up\.res2\.2"),
        ("resnext", "resnet18", r"does not fit the model: backbone\.bottom_up\.res2\.0\.conv1"),
    ],
)
def test_another_backbone_is_refused(file, model, words, tmp_path):
    with pytest.raises(UserError, match=words):
        SOLOCheckpointer(build(make_backbone_cfg(model))).load(saved(file, tmp_path))


def test_a_backbone_alone_is_nothing_to_evaluate(tmp_path):
    model = build(make_backbone_cfg("resnet18"))
    with pytest.raises(UserError, match=r"lacks \d+ tensors of the model \(.*would be random"):
        SOLOCheckpointer(model, complete=True).load(saved("resnet18", tmp_path))
