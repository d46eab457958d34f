"""Configs and trained models by name, as detectron2.model_zoo gives its own."""

from pathlib import Path
from typing import NamedTuple

from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from solo.checkpoint import SOLOCheckpointer
from solo.checkpoint.published import PUBLISHED, find_published
from solo.checkpoint.weights_cache import cached_path, published_weights
from solo.config import get_cfg
from solo.config.load import load_config
from solo.config.merge import merge_file
from solo.config.names import PREFIX, named_config
from solo.config.starting_weights import starting_weights

# Small and quick, and good enough to see what the method does.
DEFAULT_MODEL = "coco/solov2_light_448_R_50_FPN_3x"


class Entry(NamedTuple):
    """Weights that can be had by name.

    Attributes:
        name: To be written solo://NAME, too; imagenet/... is a backbone alone.
        average_precision: On COCO val as its authors report it, in percent; None of a backbone.
        finds: What the AP is of: "masks" or "boxes".
        parameters: How many the model learns.
        licence: Of the weights.
        file: Where they lie on this machine; None: they were not fetched yet.
        size: Of that file, in bytes; None where there is none.
        address: Where they were published.
    """

    name: str
    average_precision: float | None
    finds: str
    parameters: int
    licence: str
    file: Path | None
    size: int | None
    address: str


def entries() -> list[Entry]:
    """Return all weights that can be had by name, in the order of the table."""
    return [_entry(name) for name in PUBLISHED]


def download(name: str) -> Path:
    """Return the file of weights by name, in our layout; they are fetched where they are not here yet.

    Args:
        name: "coco/solov2_R_50_FPN_3x", with or without ".yaml" or "solo://".

    Raises:
        UserError: If none are published under that name.
        OSError: If they cannot be fetched or kept; it says how to do without a net.
    """
    return published_weights(name)


def weights_address(name: str) -> str:
    """Return what to set MODEL.WEIGHTS to for the published weights of a name: solo://NAME.

    Raises:
        UserError: If none are published under that name.
    """
    return PREFIX + find_published(name).name


def get_config_file(name: str) -> str:
    """Return the path of a config that comes with solo.

    Args:
        name: "coco/solov2_R_50_FPN_3x", with or without ".yaml" or "solo://".

    Raises:
        UserError: If there is none of that name; it says which names are like it.
    """
    return str(named_config(name))


def get_config(name: str, trained: bool = False) -> CfgNode:
    """Return a config that comes with solo.

    Args:
        name: See :func:`get_config_file`.
        trained: Whether MODEL.WEIGHTS should be the trained model, as solo://NAME.

    Raises:
        UserError: If there is no such config, or no trained model for it.
    """
    file, weights = get_config_file(name), weights_address(name) if trained else ""
    cfg = get_cfg()
    merge_file(cfg, file)
    cfg.MODEL.WEIGHTS = weights or starting_weights(cfg)
    return cfg


def get(name: str, trained: bool = False, device: str | None = None) -> nn.Module:
    """Build the model of a config that comes with solo, and load weights.

    Args:
        name: See :func:`get_config_file`.
        trained: Whether to load the trained model, which is fetched once. If not, those of MODEL.WEIGHTS
            are loaded, as a rule of a backbone, and the head is random.
        device: "cpu", "cuda", ...; by default the config's, and "cpu" where there is no GPU.

    Returns:
        The model, in training mode.

    Raises:
        UserError: See :func:`get_config`; or there is no such device, or the config leaves the number
            of classes to a data set that does not know it.
        OSError: See :func:`download`.
    """
    file, weights = get_config_file(name), weights_address(name) if trained else ""
    cfg = load_config(file, device=device or "")
    model = build_model(cfg)
    SOLOCheckpointer(model, complete=trained).load(weights or cfg.MODEL.WEIGHTS)
    return model


def _entry(name: str) -> Entry:
    published = PUBLISHED[name]
    file = cached_path(published)
    is_here = file.is_file()
    return Entry(
        name=name,
        average_precision=published.average_precision,
        finds=published.finds,
        parameters=published.parameters,
        licence=published.licence,
        file=file if is_here else None,
        size=file.stat().st_size if is_here else None,
        address=published.address,
    )
