"""What is frozen gets no gradient, gathers no statistics, and needs no memory for them."""

import copy

import pytest
import torch
from torch import nn

from solo.errors import UserError
from solo.modeling.freezing import frozen_part
from solo.training.solver import build_optimizer
from tests.conftest import build, make_cfg, training_item

FROZEN = {"none": "nothing", "backbone": "backbone.bottom_up.", "all_but_head": "backbone."}


def step(model, cfg):
    """Take a step of the optimizer with two images; return what it was built from."""
    optimizer = build_optimizer(cfg, model)
    sum(model([training_item(), training_item(seed=1)]).values()).backward()
    optimizer.step()
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("freeze", FROZEN)
def test_a_step_changes_what_is_not_frozen(variant, freeze):
    cfg = make_cfg(variant)
    cfg.MODEL.SOLO.FREEZE = freeze
    cfg.MODEL.FPN.NORM = "BN"
    cfg.SOLVER.BASE_LR = 100.0  # no gradient is too small to be seen
    model = build(cfg)
    before = copy.deepcopy(model.state_dict())
    model.eval()
    trained = step(model.train(), cfg)
    for name, parameter in model.named_parameters():
        frozen = name.startswith(FROZEN[freeze])
        assert parameter.requires_grad != frozen, name
        assert (parameter.grad is None) == frozen, name
        assert (id(parameter) not in trained) == frozen, name
    changed = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    # Statistics and counters of normalisation are among them.
    assert changed == {key for key in before if not key.startswith(FROZEN[freeze])}


def test_frozen_normalisation_is_that_of_a_test():
    cfg = make_cfg()
    cfg.MODEL.SOLO.FREEZE = "all_but_head"
    model = build(cfg)
    images = torch.randn(2, 3, 64, 64)
    expected = model.eval().backbone(images)
    found = model.train().backbone(images)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    # A copy, as of averaged weights, keeps its own frozen.
    other = copy.deepcopy(model).train()
    assert not other.backbone.training and other.head.training


def test_the_same_model_is_built_and_evaluated():
    cfg = make_cfg()
    plain = build(cfg)
    cfg.MODEL.SOLO.FREEZE = "backbone"
    frozen = build(cfg)
    assert plain.state_dict().keys() == frozen.state_dict().keys()
    assert all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), frozen.parameters(), strict=True)
    )


def test_a_backbone_without_a_pyramid_is_frozen_as_a_whole():
    plain = nn.Conv2d(1, 1, 1)
    assert frozen_part(plain, "backbone") is plain
    assert frozen_part(plain, "none") is None


def test_another_word_is_refused():
    cfg = make_cfg()
    cfg.MODEL.SOLO.FREEZE = "stem"
    with pytest.raises(
        UserError, match=r"FREEZE is 'stem'; use one of none, backbone, all_but_head"
    ):
        build(cfg)
