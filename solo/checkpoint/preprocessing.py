"""What the weights of a backbone were trained to see: it must travel with them.

Nothing in the shapes of the tensors tells BGR from RGB, or where a ResNet has its strides; with the
wrong ones a model loads without a word and finds little.
"""

import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detectron2.config import CfgNode
from torch import nn

from solo.errors import UserError

# Means and deviations differ by a few hundredths between files that are meant to be the same.
_TOLERANCE = 0.1


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What happens to an image ahead of the first learned filter; None where it is not known.

    Attributes:
        input_format: "RGB" or "BGR": INPUT.FORMAT.
        pixel_mean: Per channel of that order, in [0, 255]: MODEL.PIXEL_MEAN.
        pixel_std: Per channel: MODEL.PIXEL_STD.
        stride_in_1x1: Whether the bottlenecks have their stride in the first convolution:
            MODEL.RESNETS.STRIDE_IN_1X1.
    """

    input_format: str | None = None
    pixel_mean: tuple[float, ...] | None = None
    pixel_std: tuple[float, ...] | None = None
    stride_in_1x1: bool | None = None

    @classmethod
    def of_config(cls, cfg: CfgNode) -> "Preprocessing":
        """Read what a config says."""
        return cls(
            input_format=cfg.INPUT.FORMAT,
            pixel_mean=tuple(cfg.MODEL.PIXEL_MEAN),
            pixel_std=tuple(cfg.MODEL.PIXEL_STD),
            stride_in_1x1=cfg.MODEL.RESNETS.STRIDE_IN_1X1,
        )

    @classmethod
    def of_model(cls, model: nn.Module) -> "Preprocessing":
        """Read what a model tells of itself: `pixel_mean`, `pixel_std`, `input_format`, strides."""
        buffers = dict(model.named_buffers(recurse=False))
        values = {
            name: tuple(buffers[name].flatten().tolist())
            for name in ("pixel_mean", "pixel_std")
            if name in buffers
        }
        order = getattr(model, "input_format", None)
        return cls(input_format=order, stride_in_1x1=_stride_in_1x1(model), **values)

    @classmethod
    def of_checkpoint(
        cls, content: dict[str, Any], source: str = "The checkpoint"
    ) -> "Preprocessing":
        """Read what a checkpoint of ours carries; nothing, where it carries nothing.

        Args:
            content: Of the file, which may be anyone's.
            source: The checkpoint, for the message.

        Raises:
            UserError: If it carries something else under that name.
        """
        carried = content.get("preprocessing", {})
        if not isinstance(carried, Mapping):
            raise UserError(_unknown(source, "preprocessing", carried))
        values: dict[str, Any] = {}
        for key in filter(carried.__contains__, cls.__dataclass_fields__):
            value = carried[key]
            if value is not None and not _FITS[key](value):
                raise UserError(_unknown(source, f"preprocessing.{key}", value))
            values[key] = tuple(value) if isinstance(value, list) else value
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return what is known, as a checkpoint carries it: strings, numbers, lists of them."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in known.items()}

    def __str__(self) -> str:
        """Say what is known as one would set it."""
        return ", ".join(f"{_KEYS[key]} {value}" for key, value in self.to_dict().items())

    def check(self, actual: "Preprocessing", source: str) -> None:
        """Stop where a model would see other images than the weights were trained on.

        Args:
            actual: What the model, or its config, does.
            source: The checkpoint, for the message.

        Raises:
            UserError: If they differ, with the keys to set and their values.
        """
        found = actual.to_dict()
        wrong = [
            f"{_KEYS[key]} {value} (it is {found[key]})"
            for key, value in self.to_dict().items()
            if key in found and not _agree(value, found[key])
        ]
        if wrong:
            raise UserError(
                f"{source} was trained on images that were prepared in another way than this model "
                f"prepares them. Set {'; '.join(wrong)}. (If they were not: convert them with "
                "solo convert --trained-otherwise.)"
            )


_KEYS = {
    "input_format": "INPUT.FORMAT",
    "pixel_mean": "MODEL.PIXEL_MEAN",
    "pixel_std": "MODEL.PIXEL_STD",
    "stride_in_1x1": "MODEL.RESNETS.STRIDE_IN_1X1",
}


def _is_per_channel(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and 1 <= len(value) <= 16
        # Not a number that is none, nor one that float has no room for.
        and all(isinstance(each, (int, float)) and abs(each) <= 1e6 for each in value)
    )


# Whether a value of a checkpoint is one of these.
_FITS: Mapping[str, Callable[[object], bool]] = {
    "input_format": lambda value: isinstance(value, str) and len(value) <= 16,
    "pixel_mean": _is_per_channel,
    "pixel_std": _is_per_channel,
    "stride_in_1x1": lambda value: isinstance(value, bool),
}


def _unknown(source: str, entry: str, value: object) -> str:
    return (
        f"{source} says {entry} {reprlib.repr(value)}, which is nothing that training writes: take "
        "another one, or fetch it again."
    )


def _agree(expected: Any, actual: Any) -> bool:
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(
            math.isclose(a, b, abs_tol=_TOLERANCE) for a, b in zip(expected, actual, strict=True)
        )
    return expected == actual


def _stride_in_1x1(model: nn.Module) -> bool | None:
    """Look at the first block of the second stage, which halves the size; None without one."""
    for name, block in model.named_modules():
        # A block of two 3x3 convolutions (ResNet-18, -34) has no choice.
        if name.endswith("res3.0") and hasattr(block, "conv3"):
            return max(block.conv1.stride) > 1
    return None
