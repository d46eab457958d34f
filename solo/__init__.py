"""solo: box-free instance segmentation for detectron2.

Importing it registers the meta-architectures `SOLO` and `SOLOv2` and the data set `digits`.
"""

try:
    import detectron2  # noqa: F401  (asked for first, to say how to get it)
except ModuleNotFoundError as error:
    if error.name != "detectron2":
        raise
    raise ModuleNotFoundError(
        "solo extends detectron2, which is not installed. From a clone of solo run "
        "`python dev/install_detectron2.py`: it takes seconds and needs no compiler."
    ) from error

from solo import data, model_zoo, modeling
from solo.config import add_solo_config, get_cfg

__all__ = ["add_solo_config", "data", "get_cfg", "model_zoo", "modeling"]
__version__ = "0.1.0"
