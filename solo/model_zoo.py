"""Configs by name, as detectron2.model_zoo gives its own."""

from pathlib import Path

from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from solo.checkpoint import SOLOCheckpointer
from solo.config import get_cfg
from solo.config.load import load_config
from solo.config.merge import merge_file
from solo.errors import UserError


def get_config_file(config_path: str) -> str:
    """Return the path of a config that comes with solo.

    Args:
        config_path: Relative to the configs, with suffix: "coco/solov2_R_50_FPN_3x.yaml".

    Raises:
        UserError: If there is none of that name; it lists those that there are.
    """
    root = _config_root()
    path = root / config_path
    if not path.is_file():
        known = sorted(str(file.relative_to(root)) for file in root.rglob("*.yaml"))
        raise UserError(f"There is no config {config_path!r}. Choose one of: {', '.join(known)}.")
    return str(path)


def get_config(config_path: str, trained: bool = False) -> CfgNode:
    """Return a config that comes with solo.

    Args:
        config_path: See :func:`get_config_file`.
        trained: Whether MODEL.WEIGHTS should be a trained model. There are none to download yet.

    Raises:
        UserError: If there is no such config, or a trained model is asked for.
    """
    _check_untrained(trained)
    cfg = get_cfg()
    merge_file(cfg, get_config_file(config_path))
    return cfg


def get(config_path: str, trained: bool = False, device: str | None = None) -> nn.Module:
    """Build the model of a config that comes with solo, and load its MODEL.WEIGHTS.

    Args:
        config_path: See :func:`get_config_file`.
        trained: See :func:`get_config`. If not, MODEL.WEIGHTS are as a rule those of a backbone,
            which detectron2 downloads once, and the head is random.
        device: "cpu", "cuda", ...; by default the config's, and "cpu" where there is no GPU.

    Returns:
        The model, in training mode.

    Raises:
        UserError: See :func:`get_config`; or there is no such device, or the config leaves the number
            of classes to a data set that does not know it.
    """
    _check_untrained(trained)
    cfg = load_config(get_config_file(config_path), device=device or "")
    model = build_model(cfg)
    SOLOCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model


def _check_untrained(trained: bool) -> None:
    if trained:
        raise UserError(
            "solo has no trained weights to download yet. Set MODEL.WEIGHTS to a file: of a training "
            "of yours, of the official code, of mmdetection or of AdelaiDet."
        )


def _config_root() -> Path:
    """Return the folder of the configs: packaged in an installed wheel, at the top of a clone."""
    package = Path(__file__).parent
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parent / "configs"
