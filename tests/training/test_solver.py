"""Optimizers: the step of torch's own, after the clipping that was asked for."""

import math
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from detectron2.config import CfgNode
from torch import nn

from solo.training import build_optimizer
from solo.training.resumption import load_optimizer
from solo.training.solver import build_scheduler
from tests.training.training_toys import ToyModel, toy_config


def model_with_gradients(cfg: object) -> nn.Module:
    torch.manual_seed(0)
    model = ToyModel(cfg)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 10
    return model


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
@pytest.mark.parametrize("clip", ["off", "full_model", "norm", "value"])
def test_a_step_is_torchs_own_after_clipping(tmp_path: Path, name: str, clip: str) -> None:
    cfg = toy_config(tmp_path, OPTIMIZER=name, WEIGHT_DECAY=0.01, WEIGHT_DECAY_NORM=0.01)
    cfg.SOLVER.CLIP_GRADIENTS.ENABLED = clip != "off"
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_TYPE = clip if clip != "off" else "full_model"
    cfg.SOLVER.CLIP_GRADIENTS.CLIP_VALUE = 0.5
    model, reference = model_with_gradients(cfg), model_with_gradients(cfg)

    build_optimizer(cfg, model).step()

    if clip == "full_model":
        norm = nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        assert norm > 0.5
    for parameter in reference.parameters():
        if clip == "norm":
            nn.utils.clip_grad_norm_(parameter, 0.5)
        elif clip == "value":
            nn.utils.clip_grad_value_(parameter, 0.5)
    options = {"momentum": 0.9} if name == "SGD" else {}
    optimizer = getattr(torch.optim, name)
    optimizer(reference.parameters(), lr=0.05, weight_decay=0.01, **options).step()
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_how_weights_lie_changes_no_bit(tmp_path: Path, name: str, momentum: float) -> None:
    cfg = toy_config(tmp_path, OPTIMIZER=name, MOMENTUM=momentum)
    plain, turned = model_with_gradients(cfg), model_with_gradients(cfg)
    channels_last(turned)
    for model in (plain, turned):
        optimizer = build_optimizer(cfg, model)
        optimizer.step()
        optimizer.step()
    assert_equal_weights(turned, plain)


def test_sgd_is_torchs_own_bit_by_bit_and_keeps_one_momentum_a_weight(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path, WEIGHT_DECAY=0.01, WEIGHT_DECAY_NORM=0.01)
    model, reference = model_with_gradients(cfg), model_with_gradients(cfg)
    channels_last(model)
    options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "fused": True}
    optimizers = build_optimizer(cfg, model), torch.optim.SGD(reference.parameters(), **options)
    for optimizer in optimizers:
        for _ in range(3):
            optimizer.step()
    assert_equal_weights(model, reference)
    assert set(optimizers[0].state) == set(model.parameters())


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_what_was_gathered_is_taken_over_where_weights_lie_otherwise(
    tmp_path: Path, name: str
) -> None:
    cfg = toy_config(tmp_path, OPTIMIZER=name)
    model, resumed = model_with_gradients(cfg), model_with_gradients(cfg)
    channels_last(resumed)
    optimizer, other = build_optimizer(cfg, model), build_optimizer(cfg, resumed)
    optimizer.step()
    resumed.load_state_dict(model.state_dict())
    load_optimizer(other, build_scheduler(cfg, other), deepcopy(optimizer.state_dict()), "a.pth")
    for group, of_model in zip(other.param_groups, optimizer.param_groups, strict=True):
        group["lr"] = of_model["lr"]
    optimizer.step()
    other.step()
    assert_equal_weights(resumed, model)


def channels_last(model: nn.Module) -> None:
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
            parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)


def assert_equal_weights(model: nn.Module, expected: nn.Module) -> None:
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_normalisation_layers_have_their_own_weight_decay(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path, WEIGHT_DECAY=0.1, WEIGHT_DECAY_NORM=0.0)
    model = ToyModel(cfg)
    decay = {
        parameter: group["weight_decay"]
        for group in build_optimizer(cfg, model).param_groups
        for parameter in group["params"]
    }
    assert decay[model.stem[1].weight] == 0.0
    assert decay[model.stem[0].weight] == 0.1


def test_frozen_parameters_are_left_out(tmp_path: Path) -> None:
    cfg = toy_config(tmp_path)
    model = ToyModel(cfg)
    model.mask.requires_grad_(False)
    groups = build_optimizer(cfg, model).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters())) - 2


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("OPTIMIZER", "'Adagrad'; use one of SGD, AdamW"),
        ("CLIP_TYPE", "'Adagrad'; use one of full_model, norm, value"),
    ],
)
def test_unknown_names_are_refused(tmp_path: Path, key: str, message: str) -> None:
    cfg = toy_config(tmp_path)
    cfg.SOLVER.CLIP_GRADIENTS.ENABLED = True
    (cfg.SOLVER if key == "OPTIMIZER" else cfg.SOLVER.CLIP_GRADIENTS)[key] = "Adagrad"
    with pytest.raises(ValueError, match=message):
        build_optimizer(cfg, ToyModel(cfg))


def rates(cfg: CfgNode, start: int = 0) -> list[float]:
    """Return the rate of each iteration, as a trainer sees them that begins at one of them."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=cfg.SOLVER.BASE_LR)
    scheduler = build_scheduler(cfg, optimizer)
    if start:
        scheduler.load_state_dict({"base_lrs": [cfg.SOLVER.BASE_LR], "last_epoch": start - 1})
        scheduler.step()
    found = []
    for _ in range(start, cfg.SOLVER.MAX_ITER):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def cosine_flat(folder: Path, **solver: object) -> CfgNode:
    cfg = toy_config(
        folder, LR_SCHEDULER_NAME="WarmupCosineFlatLR", MAX_ITER=300, BASE_LR=0.01, **solver
    )
    cfg.SOLVER.WARMUP_ITERS, cfg.SOLVER.WARMUP_FACTOR = 5, 0.0
    cfg.INPUT.MULTI_IMAGE_OFF_ITERS = 15
    return cfg


def test_a_cosine_with_a_flat_end_is_that_of_yolox(tmp_path: Path) -> None:
    expected = [0.01 * (i / 5) ** 2 for i in range(5)]
    expected += [
        0.0005 + 0.0095 * (1 + math.cos(math.pi * (i - 5) / 280)) / 2 for i in range(5, 285)
    ]
    expected += [0.0005] * 15
    assert rates(cosine_flat(tmp_path)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("start", [3, 5, 100, 285, 299])
def test_a_resumed_run_has_the_rates_of_a_whole_one(tmp_path: Path, start: int) -> None:
    cfg = cosine_flat(tmp_path)
    assert rates(cfg, start) == pytest.approx(rates(cfg)[start:], abs=1e-15)


def test_a_warm_up_may_begin_above_zero_or_take_all(tmp_path: Path) -> None:
    cfg = cosine_flat(tmp_path)
    cfg.SOLVER.WARMUP_FACTOR = 0.1
    assert rates(cfg)[:2] == pytest.approx([0.001, 0.001 + 0.009 / 25])
    cfg.SOLVER.WARMUP_ITERS, cfg.INPUT.MULTI_IMAGE_OFF_ITERS = 0, 0
    assert rates(cfg)[0] == 0.01
    cfg.SOLVER.WARMUP_ITERS, cfg.INPUT.MULTI_IMAGE_OFF_ITERS = 300, 300
    assert all(rate < 0.01 for rate in rates(cfg))
