"""The config and the weights that a training on somebody's data begins with."""

from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from detectron2.config import CfgNode

from solo.checkpoint import run_files
from solo.checkpoint.published import PUBLISHED
from solo.config import get_cfg
from solo.config.merge import merge_file
from solo.config.names import PREFIX, config_path, plain_name
from solo.errors import UserError
from solo.model_zoo import DEFAULT_MODEL

# The word for no weights.
NONE = "none"


class Trained(Enum):
    """What of a model is trained already."""

    NOTHING = auto()
    BACKBONE = auto()
    ALL = auto()


class StartingPoint(NamedTuple):
    """What to begin with."""

    config_file: str  # as _BASE_ names it
    weights: str
    trained: Trained
    reason: str

    def config(self) -> CfgNode:
        """Return the config, unfrozen."""
        cfg = get_cfg()
        merge_file(cfg, self.config_file)
        cfg.MODEL.WEIGHTS = self.weights
        return cfg


def starting_point(model: str = "", weights: str = "") -> StartingPoint:
    """Return what to begin with.

    Args:
        model: A config that comes with solo, by its name; a yaml file; or the folder of a run. Empty:
            DEFAULT_MODEL.
        weights: A file or an address; "none": nothing is trained. Empty: those of the model.

    Raises:
        OSError: There is no such file.
        UserError: There is no such config.
    """
    model = model or DEFAULT_MODEL
    file, own = _config_file(model)
    if weights.lower() == NONE:
        return StartingPoint(
            file, "", Trained.NOTHING, f"{model} from scratch, as --weights none says"
        )
    if weights or own:
        weights = weights or own
        return StartingPoint(file, weights, Trained.ALL, f"{model}, from the weights {weights}")
    cfg = get_cfg()
    merge_file(cfg, file)
    if backbone := cfg.MODEL.WEIGHTS:
        reason = f"{model}, of which the backbone is trained: {backbone}"
        return StartingPoint(file, backbone, Trained.BACKBONE, reason)
    reason = f"{model} from scratch, as there are no weights for it; --weights names some"
    return StartingPoint(file, "", Trained.NOTHING, reason)


def _config_file(model: str) -> tuple[str, str]:
    """Return the config of a model, and its own weights, "" where it has none."""
    folder = Path(model).expanduser()
    if folder.is_dir() and (folder / run_files.CONFIG).is_file():
        return str((folder / run_files.CONFIG).absolute()), str(_last_weights(folder).absolute())
    if folder.is_file():
        return str(folder.absolute()), ""
    config_path(model)  # what is neither a file nor a name is told as such
    name = plain_name(model)
    return f"{PREFIX}{name}.yaml", PREFIX + name if name in PUBLISHED else ""


def _last_weights(folder: Path) -> Path:
    """Return the best checkpoint of a run, or its last one.

    Raises:
        UserError: It has none.
    """
    names = ("model_best.pth", run_files.FINAL_CHECKPOINT)
    found = [folder / name for name in names if (folder / name).is_file()]
    found += run_files.checkpoints(folder)[::-1]
    if not found:
        raise UserError(f"The run {folder} has no checkpoint yet: wait for one, or name --weights.")
    return found[0]
