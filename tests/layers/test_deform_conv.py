import pytest
import torch
from torch.nn import functional as F

from solo.layers.conv import Deform, conv_tower
from solo.layers.deform_conv import DeformConv, TorchvisionDeformConv, split_offsets
from tests.conftest import build, make_cfg, training_item


def naive_deform_conv(features, offset, weight, mask):
    """Sample every point of every kernel position bilinearly, zeros outside; one point at a time."""
    height, width = features.shape[-2:]
    side = weight.shape[-1]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    result = 0
    for point in range(side * side):
        y = rows + point // side - side // 2 + offset[:, 2 * point]
        x = columns + point % side - side // 2 + offset[:, 2 * point + 1]
        # grid_sample with aligned corners reads pixel (x, y) at 2 * x / (width - 1) - 1.
        grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
        sampled = F.grid_sample(features, grid, align_corners=True, padding_mode="zeros")
        if mask is not None:
            sampled = sampled * mask[:, point : point + 1]
        kernel = weight[:, :, point // side, point % side]
        result = result + torch.einsum("oc,nchw->nohw", kernel, sampled)
    return result


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("side", [1, 3])
def test_equals_sampling_by_hand(modulated, side):
    torch.manual_seed(0)
    conv = DeformConv(4, 6, side, norm="", modulated=modulated)
    torch.nn.init.normal_(conv.weight)
    torch.nn.init.normal_(conv.offset.weight, std=0.3)
    features = torch.randn(2, 4, 9, 11)
    offset, mask = split_offsets(conv.offset(features), modulated)
    expected = F.relu(naive_deform_conv(features, offset, conv.weight, mask))
    torch.testing.assert_close(conv(features), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("modulated", [False, True])
def test_starts_as_a_plain_convolution(modulated):
    conv = DeformConv(4, 6, 3, norm="", modulated=modulated)
    torch.nn.init.normal_(conv.weight)
    features = torch.randn(1, 4, 8, 8)
    # DCNv2 weighs every point by sigmoid(0).
    plain = F.conv2d(features, conv.weight, padding=1) * (0.5 if modulated else 1)
    torch.testing.assert_close(conv(features), F.relu(plain), atol=1e-5, rtol=1e-5)


def test_towers_place_their_deformable_convolutions():
    def places(convs):
        tower = conv_tower(32, 32, num_convs=3, norm="GN", deform=Deform(convs, False))
        return [isinstance(conv, DeformConv) for conv in tower]

    assert places("none") == [False, False, False]
    assert places("last") == [False, False, True]
    assert places("all") == [True, True, True]
    with pytest.raises(ValueError, match="none, last, all"):
        places("first")


@pytest.mark.parametrize("modulated", [False, True])
def test_a_model_with_deformable_convolutions_everywhere(modulated):
    cfg = make_cfg()
    cfg.MODEL.RESNETS.DEFORM_ON_PER_STAGE = [False, True, True, True]
    cfg.MODEL.RESNETS.DEFORM_MODULATED = modulated
    cfg.MODEL.SOLO.DEFORM_CONVS = "all"
    cfg.MODEL.SOLO.DEFORM_MODULATED = modulated
    cfg.MODEL.SOLO.MASK_FEATURE.DEFORM = True
    model = build(cfg)
    convs = [module for module in model.modules() if isinstance(module, TorchvisionDeformConv)]
    assert len(convs) == 4 + 6 + 3  # the blocks of res3 to res5
    sum(model([training_item()]).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert model.backbone.bottom_up.res3[0].conv2_offset.weight.grad.abs().sum() > 0
    assert len(model.eval()([training_item()])) == 1


@pytest.mark.parametrize("modulated", [False, True])
def test_mixed_precision(modulated):
    torch.manual_seed(0)
    conv = DeformConv(4, 6, 3, norm="", modulated=modulated)
    torch.nn.init.normal_(conv.offset.weight, std=0.01)
    torch.nn.init.normal_(conv.weight)
    features = torch.randn(2, 4, 9, 11).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = conv(features)
        found.sum().backward()
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), conv(features.float()), atol=0.1, rtol=0.05)
    assert torch.isfinite(conv.offset.weight.grad).all() and conv.weight.grad.abs().max() > 0


def test_mixed_precision_of_a_whole_model():
    cfg = make_cfg()
    cfg.MODEL.RESNETS.DEFORM_ON_PER_STAGE = [False, True, True, True]
    cfg.MODEL.SOLO.DEFORM_CONVS = "all"
    model = build(cfg)
    with torch.autocast("cpu", torch.bfloat16):
        sum(model([training_item()]).values()).backward()
        model.eval()([{"image": training_item()["image"]}])
