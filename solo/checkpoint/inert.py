"""Reading files that hold more than data, by leaving empty shells where the rest was.

Training frameworks put their logs and configs into the file of the weights. The names of their
classes are read; the classes themselves are neither imported nor called.
"""

import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

# What is written beside weights by those who write such files. Everything else is refused.
_HARMLESS = ("mmengine.", "mmcv.", "mmdet.", "addict.", "detectron2.", "fvcore.", "yacs.")
# How HistoryBuffer of mmengine refers to its own methods.
_HARMLESS_NAMES = ("builtins.getattr",)
# What torch reads by itself, as far as files have it; beside dtypes and storages.
_OF_TORCH = {
    *(f"torch._utils._rebuild_{name}" for name in ("tensor", "tensor_v2", "tensor_v3")),
    *(f"torch._utils._rebuild_{name}" for name in ("parameter", "parameter_with_state")),
    *("torch._tensor._rebuild_from_type_v2", "torch.nn.parameter.Parameter"),
    *("collections.OrderedDict", "collections.Counter", "_codecs.encode"),
    *(f"builtins.{name}" for name in ("set", "bytearray", "complex")),
}
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


class RefusedGlobalError(Exception):
    """A pickle asked for something that is not data; the argument is its name."""


def load_tensors(path: Path, allowed: Mapping[str, Any]) -> Any:
    """Read a file of torch as data only; objects of known foreign classes become `Inert`.

    Args:
        path: The file.
        allowed: What may be called beyond what torch allows, by the name in the file.

    Raises:
        RefusedGlobalError: The file asks for something that is not data.
        Exception: What `torch.load` raises of a file that is corrupt.
    """
    names = list(dict.fromkeys(_global_names(path)))
    # Each name stands for an object or a class of ours, and not for what it is the name of elsewhere.
    harmless = [name for name in names if name in _HARMLESS_NAMES or name.startswith(_HARMLESS)]
    permitted = {**allowed, **dict.fromkeys(harmless, Inert)}
    try:
        with torch.serialization.safe_globals(
            [*_DTYPES, *((value, name) for name, value in permitted.items())]
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch documents no list of what a file may raise
        # Whether something is refused is torch's to say; which it was, the file tells.
        for name in names:
            if name not in permitted and not _is_data(name):
                raise RefusedGlobalError(name) from error
        raise


def _global_names(path: Path) -> Iterator[str]:
    """Yield the names of what a file asks for, as far as it can be read; nothing is called."""
    # Of a file that is corrupt nearly anything may be raised; torch says what is wrong with it.
    with suppress(Exception):
        for file in _pickles(path):
            for operation, argument, _ in pickletools.genops(file):
                if operation.name == "GLOBAL":
                    name = str(argument).replace(" ", ".")
                    # As Python 2 called them; torch reads files so.
                    yield name.replace("__builtin__.", "builtins.")


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream at the beginning of each pickle of a file of torch."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    yield BytesIO(archive.read(name))
        return
    with path.open("rb") as file:
        # Before torch 1.6: a magic number, a version, facts about the system, and the content. Whoever
        # reads one of them is at the next.
        for _ in range(4):
            yield file


def _is_data(name: str) -> bool:
    # torch.float32, torch.FloatStorage and the like; and _DTYPES.
    is_type = name.startswith("torch.") and name.count(".") == 1
    return name in _OF_TORCH or is_type or name.startswith("numpy.dtypes.")
