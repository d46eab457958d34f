"""solo: box-free instance segmentation for detectron2.

Importing it registers the meta-architectures `SOLO`, `SOLOv2` and `YOLOX` and the data set `digits`.
"""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from solo.errors import MissingPackageError
from solo.others_warnings import others_silenced

if TYPE_CHECKING:
    from solo import data, model_zoo, modeling
    from solo.config import add_solo_config, get_cfg
    from solo.inference import Predictor

__all__ = [
    "Predictor",
    "add_solo_config",
    "data",
    "get_cfg",
    "model_zoo",
    "modeling",
    "register",
]
__version__ = "0.1.0"

_HOMES = {
    "Predictor": "solo.inference",
    "add_solo_config": "solo.config",
    "get_cfg": "solo.config",
}


def register() -> None:
    """Register the models and the data sets with detectron2; `import solo` does it.

    Raises:
        MissingPackageError: torch, detectron2 or OpenCV is missing or broken; it says how to mend it.
    """
    with others_silenced():
        _register()


def _register() -> None:
    # Asked for first, as `solo setup` brings them. detectron2 imports torch and then, if it is there, cv2.
    try:
        importlib.import_module("detectron2")
        importlib.import_module("cv2")
    except ImportError as error:
        raise MissingPackageError(
            f"solo cannot be used yet ({error}): run `solo setup`, or `python -m solo setup`, which "
            "brings or names what is missing.",
            name=error.name,
        ) from error
    for name in ("data", "model_zoo", "modeling", "yolox"):
        importlib.import_module(f"solo.{name}")


def _is_command() -> bool:
    """Return whether this process is `solo` or `python -m solo`.

    They register what they need later: help has to be quick, and `solo setup` to work without detectron2.
    """
    if (
        sys.argv[0] == "-m"
    ):  # so it is while python looks for the module, which is named before the arguments
        return sys.orig_argv[-len(sys.argv) :][:1] in (["solo"], ["-msolo"])
    return Path(sys.argv[0]).name in ("solo", "solo.exe")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'solo' has no attribute {name!r}")
    register()
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    return importlib.import_module(f"solo.{name}")


if not _is_command():
    register()
