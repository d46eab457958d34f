"""The config and the weights that a training on somebody's data begins with."""

from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from detectron2.config import CfgNode

from solo.architectures import check_is_solo
from solo.checkpoint import run_files
from solo.checkpoint.published import PUBLISHED
from solo.config import get_cfg
from solo.config.merge import merge_file
from solo.config.names import PREFIX, config_path, plain_name
from solo.config.starting_weights import backbone_weights, starting_weights
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
        """Return the config, unfrozen.

        Raises:
            UserError: If it is of a model that nothing is planned for.
        """
        cfg = get_cfg()
        merge_file(cfg, self.config_file)
        check_is_solo(cfg, "A plan for --data")
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
    file, own = _config_file(model, weights)
    if weights.lower() == NONE:
        return StartingPoint(
            file, "", Trained.NOTHING, f"{model} from scratch, as --weights none says"
        )
    cfg = get_cfg()
    merge_file(cfg, file)
    weights = weights or own or starting_weights(cfg)
    if not weights:
        reason = f"{model} from scratch, as there are no weights for it; --weights names some"
        return StartingPoint(file, "", Trained.NOTHING, reason)
    if _is_backbone(weights) or weights == backbone_weights(cfg):
        reason = f"{model}, of which the backbone is trained: {weights}"
        return StartingPoint(file, weights, Trained.BACKBONE, reason)
    return StartingPoint(file, weights, Trained.ALL, f"{model}, from the weights {weights}")


def _is_backbone(weights: str) -> bool:
    """Tell weights of a backbone, published as such or for other models, from those of a whole model."""
    if weights.startswith(PREFIX):
        published = PUBLISHED.get(plain_name(weights))
        return bool(published and published.is_backbone)
    backbones = {one.file_name for one in PUBLISHED.values() if one.is_backbone}
    # Files of detectron2's, .pkl, are never of SOLO.
    return (
        weights.startswith("timm://") or weights.endswith(".pkl") or Path(weights).name in backbones
    )


def _config_file(model: str, weights: str) -> tuple[str, str]:
    """Return the config of a model, and its own weights, "" where it has none or others are given."""
    folder = Path(model).expanduser()
    if folder.is_dir() and (folder / run_files.CONFIG).is_file():
        own = "" if weights else str(run_files.last_checkpoint(folder).absolute())
        return str((folder / run_files.CONFIG).absolute()), own
    if folder.is_file():
        return str(folder.absolute()), ""
    config_path(model)  # what is neither a file nor a name is told as such
    name = plain_name(model)
    return f"{PREFIX}{name}.yaml", PREFIX + name if name in PUBLISHED else ""
