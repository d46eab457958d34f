"""Weights as safetensors: tensors and a text, and nothing that could be executed.

The text is json under one key; it holds what a checkpoint of ours has beside its weights.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from solo.errors import UserError
from solo.files import written_whole

SUFFIX = ".safetensors"
_KEY = "solo"


def read_safetensors(path: Path) -> dict[str, Any]:
    """Read a file of anybody's; the library looks at the sizes that it names before it believes them.

    Returns:
        The tensors under "model", on the CPU, and what was written beside them, if it is one of ours.

    Raises:
        OSError: If it cannot be opened.
        Exception: What the library raises of a file that is damaged.
        UserError: If the text in it is no json of ours.
    """
    with path.open("rb"):
        pass  # the library has an error of its own for a file that may not be read
    with safe_open(path, framework="pt", device="cpu") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text = (file.metadata() or {}).get(_KEY, "{}")
    beside = json.loads(text)
    if not isinstance(beside, dict):
        raise UserError(f"what is written beside the weights is a {type(beside).__name__}")
    return {**beside, "model": weights}


def is_whole(path: Path) -> bool:
    """Return whether a file is there, and as long as what it begins with says."""
    try:
        with safe_open(path, framework="pt"):
            return True
    except (OSError, SafetensorError):
        return False


def write_safetensors(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint whose "model" is tensors, and whose rest json has words for.

    Raises:
        OSError: If it could not be written; `path` is as before.
    """
    beside = {name: value for name, value in content.items() if name != "model"}
    with written_whole(path) as partial:
        try:
            save_file(_apart(content["model"]), partial, {_KEY: json.dumps(beside)})
            # safetensors leaves it to the owner alone; a cache may be shared.
            os.chmod(partial, 0o666 & ~_umask())
        except SafetensorError as error:
            known = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(os.strerror(int(known[1])) if known else str(error)) from error


def _umask() -> int:
    """Return the mask of this process, which can be read only by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _apart(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of which no two share memory, which a file has no words for; most are not copied."""
    apart: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in weights.items():
        plain = tensor.detach().contiguous()
        place = plain.untyped_storage().data_ptr()
        apart[name] = plain.clone() if place in seen else plain
        seen.add(place)
    return apart
