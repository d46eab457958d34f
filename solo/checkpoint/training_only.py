"""Weights that training alone needs: a model does without them, and its checkpoints come with or without."""

from collections.abc import Container
from typing import Any

from torch import nn


def leave_out(weights: dict[str, Any], model: nn.Module, *, unless: Container[str]) -> None:
    """Remove from tensors by name, in place, what only the training of a model needs, unless it is there, too."""
    for name in [*weights]:
        if _is_training_only(name, model) and name not in unless:
            del weights[name]


def set_aside(names: list[str], model: nn.Module) -> list[str]:
    """Remove from names of tensors, in place, those that only the training of a model needs, and return these."""
    found = [name for name in names if _is_training_only(name, model)]
    names[:] = [name for name in names if name not in found]
    return found


def _is_training_only(name: str, model: nn.Module) -> bool:
    """A model says how such names begin by its `training_only`, whether it has such a part or not."""
    return name.startswith(tuple(getattr(model, "training_only", ())))
