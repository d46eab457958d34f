import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import nn

from solo.modeling.fuse import fuse_batch_norm
from tests.conftest import build, make_cfg


def random_statistics(norm):
    for name in ("weight", "bias", "running_mean"):
        getattr(norm, name).data.normal_()
    norm.running_var.data.uniform_(0.5, 2)


@torch.no_grad()
def test_fusing_changes_nothing_but_rounding():
    model = nn.Sequential(
        Conv2d(3, 4, 3, bias=False, norm=FrozenBatchNorm2d(4)),
        Conv2d(4, 5, 1, norm=nn.BatchNorm2d(5), activation=torch.relu),
        Conv2d(5, 2, 1, norm=nn.GroupNorm(1, 2)),
    ).eval()
    random_statistics(model[0].norm)
    random_statistics(model[1].norm)
    images = torch.randn(2, 3, 9, 9)
    expected = model(images)
    fuse_batch_norm(model)
    assert model[0].norm is None and model[1].norm is None and model[2].norm is not None
    torch.testing.assert_close(model(images), expected)


@torch.no_grad()
def test_a_model_finds_the_same(variant):
    cfg = make_cfg(variant)
    cfg.MODEL.RESNETS.NORM = "FrozenBN"
    model = build(cfg).eval()
    image = torch.rand(3, 64, 64) * 255
    expected = model.head(model.backbone(image[None])).category_logits
    fuse_batch_norm(model)
    assert not any(isinstance(part, FrozenBatchNorm2d) for part in model.modules())
    for actual, logits in zip(
        model.head(model.backbone(image[None])).category_logits, expected, strict=True
    ):
        torch.testing.assert_close(actual, logits, rtol=1e-3, atol=1e-4)
