"""What makes the tensors of a checkpoint unfit for a model, each in a sentence with a way out."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from solo.checkpoint.comparison import is_counter, listed
from solo.checkpoint.rules import is_ours
from solo.errors import UserError

_ITS_CONFIG = "Take the config it was trained with."


class MisfitError(UserError):
    """A checkpoint that is of another model, of other classes or of another optimizer."""

    def __init__(self, what: str, advice: str) -> None:
        """Say what does not fit, and what to do about it."""
        super().__init__(f"{what} {advice}")
        self.what = what


def check_shapes(weights: Mapping[str, Any], model: Mapping[str, Tensor], path: str) -> None:
    """Raise a MisfitError at tensors of other shapes than the model's, or if it has none of them."""
    mismatches = [
        f"{key} is {list(value.shape)} in the checkpoint and {list(model[key].shape)} in the model"
        for key, value in weights.items()
        if key in model and value.shape != model[key].shape
    ]
    if mismatches:
        more = f"; and {len(mismatches) - 8} more" if len(mismatches) > 8 else ""
        raise MisfitError(
            f"The checkpoint {path} does not fit the model: {'; '.join(mismatches[:8])}{more}.",
            _ITS_CONFIG,
        )
    if weights and not any(key in model for key in weights):
        raise MisfitError(
            f"Nothing in the checkpoint {path} fits this model: it has {listed([*weights])}, the model "
            f"{listed([*model])}.",
            _ITS_CONFIG,
        )


def check_nothing_is_lost(
    weights: Mapping[str, Any],
    model: Mapping[str, Tensor],
    optional: Mapping[str, str],
    path: str,
) -> None:
    """Raise a MisfitError at parts that the model has not: without them, it would find something else.

    Args:
        weights: The tensors of the checkpoint by name.
        model: Those of the model.
        optional: How the names of parts begin that a model may have, and the key that asks for each.
        path: Of the checkpoint.
    """
    lost = [
        key
        for key in weights
        if key not in model
        and not is_counter(key)
        and (is_ours(key) or key.startswith(tuple(optional)))
    ]
    if not lost:
        return
    keys = [
        key for prefix, key in optional.items() if any(name.startswith(prefix) for name in lost)
    ]
    remedy = f"Set {' and '.join(keys)} True." if keys else _ITS_CONFIG
    raise MisfitError(
        f"The checkpoint {path} has {listed(lost)}, without which this model would find something else.",
        remedy,
    )


def check_nothing_is_random(missing: list[str], path: str) -> None:
    """Raise a MisfitError at tensors of the model that a checkpoint lacks."""
    if missing:
        raise MisfitError(
            f"The checkpoint {path} lacks {len(missing)} tensors of the model ({listed(missing)}); they would "
            "be random.",
            "Take a checkpoint of the whole model, and the config it was trained with.",
        )
