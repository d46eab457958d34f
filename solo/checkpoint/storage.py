"""Checkpoint files: written whole or not at all, and read without executing what is in them."""

import codecs
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from solo.checkpoint.addresses import local_path
from solo.checkpoint.inert import RefusedGlobalError, load_tensors
from solo.checkpoint.published import meant_published
from solo.checkpoint.run_files import LAST_CHECKPOINT
from solo.checkpoint.safetensors_file import SUFFIX, read_safetensors
from solo.errors import UserError
from solo.files import write_with

# The functions that rebuild arrays and scalars; asking for them works with every NumPy, while
# their module is private and moves.
_ARRAY_GLOBALS: dict[str, Any] = {
    "multiarray._reconstruct": np.zeros(1).__reduce__()[0],
    "multiarray.scalar": np.float64(0).__reduce__()[0],
    "numeric._frombuffer": np.zeros(1).__reduce_ex__(5)[0],
}
# All that a pickle of numpy arrays needs. NumPy 2 renamed numpy.core to numpy._core; files of
# either version are read by either version.
_ALLOWED_GLOBALS: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": codecs.encode,
    **{f"numpy.core.{name}": value for name, value in _ARRAY_GLOBALS.items()},
    **{f"numpy._core.{name}": value for name, value in _ARRAY_GLOBALS.items()},
}


# What torch writes begins so, since 1.6; and how much of it is looked at at once.
_ZIP_MAGIC = b"PK\x03\x04"
_CHUNK = 1 << 20


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that builds arrays and containers, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed global; raise for every other, before anything is called."""
        full_name = f"{module}.{name}"
        if full_name not in _ALLOWED_GLOBALS:
            raise RefusedGlobalError(full_name)
        return _ALLOWED_GLOBALS[full_name]


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a `.pth` file of torch, a `.pkl` of detectron2's model zoo or safetensors, as data only.

    Args:
        path: A file, or an address that detectron2's PathManager knows, such as solo://NAME.

    Returns:
        What the file holds, with tensors on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If the file is corrupt or no checkpoint, or loading it would run code.
    """
    path = local_path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"The checkpoint {path} does not exist; check MODEL.WEIGHTS{meant_published(str(path))}."
        )
    try:
        if path.suffix == ".pkl":
            content = _unpickle_arrays(path)
        elif path.suffix == SUFFIX:
            content = read_safetensors(path)
        else:
            _check_sums(path)
            content = load_tensors(path, _ALLOWED_GLOBALS)
    except OSError:
        raise
    except RefusedGlobalError as error:
        raise UserError(
            f"The checkpoint {path} is refused: it asks to run {error}, which is not data. "
            "Only tensors, arrays, numbers, strings and containers of them are loaded; "
            "save it again as a plain state_dict, in an environment that trusts it."
        ) from None
    except Exception as error:  # a corrupt file may raise nearly anything
        raise UserError(_corrupt(path, error)) from error
    if not isinstance(content, dict):
        raise UserError(f"The checkpoint {path} holds a {type(content).__name__}, not a dict.")
    names = content.get("class_names") or ()
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"The checkpoint {path} has class_names that are no list of names; remove them from it."
        )
    return content


def _unpickle_arrays(path: Path) -> Any:
    with path.open("rb") as file:
        # Files of Detectron come from Python 2.
        return _ArrayUnpickler(file, encoding="latin1").load()


def from_pickle(content: dict[str, Any]) -> dict[str, Any]:
    """Bring a file of detectron2's model zoo, or of Caffe2, into the layout of a checkpoint."""
    if "model" in content and "__author__" in content:
        return content
    weights = content.get("blobs", content)
    weights = {key: value for key, value in weights.items() if not key.endswith("_momentum")}
    return {"model": weights, "__author__": "Caffe2", "matching_heuristics": True}


def _check_sums(path: Path) -> None:
    """Compare what a file of torch holds with the sums in it, which `torch.load` does not look at.

    Files older than torch 1.6 have none.

    Raises:
        OSError: It cannot be opened.
        Exception: What `zipfile` raises of a file that is damaged.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
            return
        try:
            _read_records(file)
        except OSError as error:  # the disk's, or of a damaged number that is no place in a file
            raise zipfile.BadZipFile(error.strerror) from error


def _read_records(file: IO[bytes]) -> None:
    with zipfile.ZipFile(file) as archive:
        for record in archive.infolist():
            if record.CRC:  # 0: torch was told to write no sums
                with archive.open(record) as content:
                    while content.read(_CHUNK):
                        pass


def _corrupt(path: Path, error: Exception) -> str:
    # torch puts what is wrong behind advice to load the file unsafely.
    message = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    reason = (message or type(error).__name__).splitlines()[0].partition(". ")[0]
    size = path.stat().st_size
    return (
        f"The checkpoint {path} ({size} bytes) cannot be read: it is corrupt, truncated or no "
        f"checkpoint ({reason}); {_what_instead(path)}."
    )


def _what_instead(path: Path) -> str:
    """Advise what to do without a file; of a training, name the checkpoint before it."""
    of_training = path.parent.glob("model_[0-9]*.pth") if path.name.startswith("model_") else ()
    before = max((other.name for other in of_training if other.name < path.name), default="")
    if not before:
        return "take another one, or fetch it again"
    advice = f"fetch it again, or take the one before it, {path.with_name(before)}"
    marker = path.with_name(LAST_CHECKPOINT)
    if marker.is_file() and marker.read_text().strip() == path.name:
        advice += f"; to resume from that, write {before} into {marker}"
    return advice


def write_checkpoint(content: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write what torch.save takes so that `path` is at every moment the old file or the new one.

    Raises:
        OSError: If it could not be written; `path` is as before.
    """
    write_with(lambda file: torch.save(content, file), path)
