"""Parts of a model that a checkpoint may lack: those that training alone runs, and those that may start fresh.

A model names them by how the names of their weights begin, whether it has such a part or not: `training_only`, and
`may_start_fresh`, with the key that asks for each.
"""

from collections.abc import Container
from typing import Any

from torch import nn

Prefixes = tuple[str, ...]


def training_only(model: nn.Module) -> Prefixes:
    """Return how the names of weights begin that only training needs: checkpoints come with or without."""
    return tuple(getattr(model, "training_only", ()))


def may_start_fresh(model: nn.Module) -> dict[str, str]:
    """Return how the names of weights begin that a training may begin without, each with its key."""
    return dict(getattr(model, "may_start_fresh", {}))


def take_up(weights: dict[str, Any], model: nn.Module) -> None:
    """Bring weights that a training begins from to the shapes of a model that can do so, in place."""
    if bring := getattr(model, "take_up", None):
        bring(weights)


def leave_out(weights: dict[str, Any], prefixes: Prefixes, *, unless: Container[str]) -> None:
    """Remove tensors whose names begin so, in place, unless they are there, too."""
    for name in [*weights]:
        if name.startswith(prefixes) and name not in unless:
            del weights[name]


def set_aside(names: list[str], prefixes: Prefixes) -> list[str]:
    """Remove names that begin so, in place, and return these."""
    found = [name for name in names if name.startswith(prefixes)]
    names[:] = [name for name in names if name not in found]
    return found
