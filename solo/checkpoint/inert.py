"""Reading files that hold more than data, by leaving empty shells where the rest was.

Training frameworks put their logs and configs into the file of the weights. The names of their
classes are read; the classes themselves are neither imported nor called.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

# What is written beside weights by those who write such files. Everything else is refused.
_HARMLESS = ("mmengine.", "mmcv.", "mmdet.", "addict.", "detectron2.", "fvcore.", "yacs.")
# How HistoryBuffer of mmengine refers to its own methods.
_HARMLESS_NAMES = ("getattr", "__builtin__.getattr", "builtins.getattr")
# Scalars of NumPy bring the class of their type.
_DTYPES = {type(np.dtype(kind)) for kind in "?bhilqBHILQefd"}


class Inert:
    """Stands where an object of a foreign class was: takes everything, does nothing."""

    def __new__(cls, *_: Any) -> "Inert":
        """Take the arguments of whatever was called."""
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None:
        """Forget them."""

    def __setstate__(self, _: Any) -> None:
        """Forget the attributes, too."""


def load_tensors(path: Path, allowed: Mapping[str, Any]) -> Any:
    """Read a file of torch as data only; objects of known foreign classes become `Inert`.

    Args:
        path: The file.
        allowed: What may be called beyond what torch allows, by the name in the file.

    Raises:
        Exception: What `torch.load` raises, a refused name among it.
    """
    names: tuple[str, ...] = ()
    while True:
        try:
            with _permitted(allowed, names):
                return torch.load(path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        except Exception as error:  # torch documents no list of what a file may raise
            refused = re.search(r"GLOBAL ([\w.]+)", str(error))
            more = _spellings(refused.group(1)) if refused else ()
            if not more or set(more) <= set(names):
                raise
            names += more


def _permitted(allowed: Mapping[str, Any], names: tuple[str, ...]) -> AbstractContextManager:
    # Before 2.6 torch could not tell the name in the file from that of the class.
    if torch.__version__ < (2, 6):
        return nullcontext()
    permissions = [*_DTYPES, *((value, name) for name, value in allowed.items())]
    # Each name is a permission for a class of ours, and none for what it was the name of.
    return torch.serialization.safe_globals([*permissions, *((Inert, name) for name in names)])


def _spellings(name: str) -> tuple[str, ...]:
    """Return the names to permit for a refused one; none if it is not known to be harmless."""
    if name in _HARMLESS_NAMES:
        return _HARMLESS_NAMES
    return (name,) if name.startswith(_HARMLESS) else ()
