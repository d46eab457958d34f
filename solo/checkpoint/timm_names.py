"""Weights of a model of timm alone, as the backbone of a model has them; this file needs no timm."""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from solo.checkpoint.comparison import is_counter, listed, strip_prefix
from solo.checkpoint.lineages import Lineage, recognise, split
from solo.checkpoint.preprocessing import Preprocessing
from solo.errors import UserError

# Only EfficientNet-PyTorch, from which others took over their weights, names a tensor so.
_EFFICIENTNET_PYTORCH = "_blocks.0._depthwise_conv.weight"


class _OfTimm(Protocol):
    """What a backbone tells of its model of timm; see `TimmName` in solo/modeling."""

    name: str
    tensors: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def backbone_alone(
    model: nn.Module, content: Mapping[str, Any], path: str
) -> dict[str, Any] | None:
    """Bring a file of timm's to the names of a model with such a backbone.

    Args:
        model: With a backbone of any kind.
        content: Of the file.
        path: For messages.

    Returns:
        A checkpoint: "model", "preprocessing" and "dropped", names of parts that only classify. None: the
        backbone is not of timm, or the file is of a whole model.

    Raises:
        UserError: If the weights are of another model of timm, or of something else.
    """
    weights, rest = split(content)
    found = ((key, part) for key, part in model.named_modules() if hasattr(part, "of_timm"))
    place, backbone = next(found, ("", None))
    is_whole = recognise(content) not in (None, Lineage.TORCHVISION)
    if backbone is None or is_whole or any(key.startswith("backbone.") for key in weights):
        return None
    known: _OfTimm = backbone.of_timm
    strip_prefix(weights, "module.")
    weights = {key: value for key, value in weights.items() if not is_counter(key)}
    if _EFFICIENTNET_PYTORCH in weights:
        weights = _in_order(weights, known)
    prefix = f"{place}.body."
    mine = {
        key.removeprefix(prefix)
        for key in model.state_dict()
        if key.startswith(prefix) and not is_counter(key)
    }
    _check(weights, mine, known, path)
    expected = Preprocessing(
        input_format="RGB",
        pixel_mean=tuple(255 * value for value in known.mean),
        pixel_std=tuple(255 * value for value in known.std),
    )
    return {
        "model": {prefix + key: value for key, value in weights.items() if key in mine},
        "preprocessing": content.get("preprocessing", expected.to_dict()),
        "dropped": (*rest, *(key for key in weights if key not in mine)),
    }


def _in_order(weights: Mapping[str, Tensor], known: _OfTimm) -> dict[str, Tensor]:
    """Give the layers of EfficientNet-PyTorch the names of timm, which has them in the same order."""
    theirs, ours = list(weights), [key for key in known.tensors if not is_counter(key)]
    kinds = [[key.rpartition(".")[2] for key in keys] for keys in (theirs, ours)]
    if kinds[0] != kinds[1]:
        return dict(weights)
    return dict(zip(ours, weights.values(), strict=True))


def _check(weights: Mapping[str, Tensor], mine: set[str], known: _OfTimm, path: str) -> None:
    """Raise a UserError where weights are missing, or are of a part that the model of timm has not."""
    missing = [key for key in known.tensors if key in mine and key not in weights]
    foreign = [key for key in weights if key not in known.tensors]
    if missing or foreign:
        found = "; ".join(
            f"{what} {listed(keys, 4)}"
            for what, keys in (("it lacks", missing), ("it has", foreign))
            if keys
        )
        raise UserError(
            f"{path} is not of {known.name} of timm, which MODEL.TIMM.NAME says: {found}. Take the weights "
            "of that model, or name theirs."
        )
