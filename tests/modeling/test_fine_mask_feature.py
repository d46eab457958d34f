"""MASK_FEATURE.UPSAMPLE 2: soft masks at half the stride, in training, at test and in the exported graph."""

import pytest
import torch

from tests.conftest import build, make_cfg, training_item
from tests.export.conftest import lively_cfg, lively_model
from tests.export.test_wrapper import agreement
from tests.modeling.test_early_keys import losses_and_gradients, mask_loss_by_loop


def fine_cfg(**loss):
    cfg = make_cfg()
    cfg.MODEL.SOLO.MASK_FEATURE.UPSAMPLE = 2
    for key, value in loss.items():
        cfg.MODEL.SOLO.LOSS[key] = value
    return cfg


def test_four_channels_become_the_pixels_that_one_is_divided_into():
    model = build(fine_cfg())
    assert model.head.mask_strides == (2,) * 5 and model.divisor == build(make_cfg()).divisor
    branch = model.head.mask_feature
    features = model.backbone(model.preprocess([training_item()]).tensor)
    total = branch.add_levels(features)
    assert total.shape[-2:] == (16, 16)
    fine, coarse = branch(features), branch.predictor(total)
    assert fine.shape == (1, 32, 32, 32)
    for channel, row, column in ((0, 0, 0), (3, 5, 8), (31, 31, 31), (7, 2, 1)):
        place = 4 * channel + 2 * (row % 2) + column % 2, row // 2, column // 2
        assert fine[0, channel, row, column] == coarse[(0, *place)]
    weight = branch.predictor.weight
    assert torch.equal(weight[0::4], weight[3::4]) and not torch.equal(weight[0], weight[4])


@pytest.mark.parametrize("mask_stride", [0, 4])
def test_the_mask_loss_equals_the_loop(mask_stride):
    model = build(fine_cfg(MASK_STRIDE=mask_stride))
    batch = [training_item(), training_item((), (), seed=1)]
    loss = model(batch)["loss_mask"]
    expected = mask_loss_by_loop(model, batch, 0.0, mask_stride)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_with_every_other_loss():
    weights = dict.fromkeys(("POINT_BCE_WEIGHT", "BOUNDARY_DICE_WEIGHT", "SEMANTIC_WEIGHT"), 1.0)
    losses, gradients = losses_and_gradients(build(fine_cfg(**weights)), [training_item()])
    assert len(losses) == 5 and all(losses.values())
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    cfg = fine_cfg(SUPERVISION="box")
    cfg.MODEL.SOLO.BOX_SUPERVISION.WARMUP_ITERS = 0
    assert all(map(torch.isfinite, build(cfg)([training_item()]).values()))


def test_the_graph_finds_what_the_model_finds():
    cfg = lively_cfg("SOLOv2")
    cfg.MODEL.SOLO.MASK_FEATURE.UPSAMPLE = 2
    found = agreement(lively_model(cfg))
    found.check()
    assert found.instances > 20


def test_other_numbers_are_refused():
    cfg = fine_cfg()
    cfg.MODEL.SOLO.MASK_FEATURE.UPSAMPLE = 3
    with pytest.raises(ValueError, match="UPSAMPLE is 3; give 1 or 2"):
        build(cfg)
