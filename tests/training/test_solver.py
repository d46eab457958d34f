"""Optimizers: the step of torch's own, after the clipping that was asked for."""

from pathlib import Path

import pytest
import torch
from torch import nn

from solo.training import build_optimizer
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
