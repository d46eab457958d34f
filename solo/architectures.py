"""What a meta-architecture says of itself: what it predicts, what it needs, and where its classes are counted.

One that says nothing, as detectron2's own, goes by MODEL.MASK_ON, and has the classes of MODEL.SOLO.
"""

import importlib
from collections.abc import Callable
from typing import Any, cast

from detectron2.config import CfgNode
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

from solo.errors import UserError

# The tasks of COCO: what is evaluated. Boundaries are those of masks.
BBOX, SEGM, BOUNDARY = "bbox", "segm", "boundary"
# Where the class of an entry is that is registered as a function, so that `import solo` does not wait for it.
_HOMES = {"YOLOX": "solo.yolox.meta_arch"}


def architecture(cfg: CfgNode) -> Callable[[CfgNode], nn.Module]:
    """Return the class of MODEL.META_ARCHITECTURE, or the function that somebody registered in its place.

    Raises:
        KeyError: If nobody registered the name.
    """
    name = cfg.MODEL.META_ARCHITECTURE
    entry = META_ARCH_REGISTRY.get(name)
    if not isinstance(entry, type) and name in _HOMES:
        entry = getattr(importlib.import_module(_HOMES[name]), name)
    return cast(Callable[[CfgNode], nn.Module], entry)


def tasks_of(cfg: CfgNode) -> tuple[str, ...]:
    """Return what the model is evaluated by: "bbox"; of masks "segm", too, and "boundary" with TEST.BOUNDARY_AP."""
    said: Callable[[CfgNode], tuple[str, ...]] | None = _said(cfg, "tasks")
    tasks: tuple[str, ...] = (BBOX, SEGM) if cfg.MODEL.MASK_ON else (BBOX,)
    if said is not None:
        tasks = said(cfg)
    return with_boundary(tasks) if cfg.TEST.BOUNDARY_AP else tasks


def with_boundary(tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return tasks with that of boundaries, where masks are among them."""
    return (*tasks, BOUNDARY) if SEGM in tasks and BOUNDARY not in tasks else tasks


def predicts_masks(cfg: CfgNode) -> bool:
    """Return whether the model predicts masks."""
    return SEGM in tasks_of(cfg)


def needs_masks(cfg: CfgNode) -> bool:
    """Return whether training the model needs masks; else boxes suffice."""
    needs: Callable[[CfgNode], bool] | None = _said(cfg, "needs_masks")
    return bool(cfg.MODEL.MASK_ON) if needs is None else needs(cfg)


def check_keys(cfg: CfgNode) -> None:
    """Raise a UserError at a key of the model that makes no sense: by the rules that it would be built of."""
    check: Callable[[CfgNode], None] | None = _said(cfg, "check_keys")
    if check is not None:
        check(cfg)


def node_name(cfg: CfgNode) -> str:
    """Return the name of the node of MODEL that holds the model's keys, as "SOLO"."""
    return cast(str, _said(cfg, "node") or "SOLO")


def class_node(cfg: CfgNode) -> CfgNode:
    """Return the node whose NUM_CLASSES is the number of classes of the model."""
    return cfg.MODEL[node_name(cfg)]


def class_key(cfg: CfgNode) -> str:
    """Return the key of the number of classes, as "MODEL.SOLO.NUM_CLASSES"."""
    return f"MODEL.{node_name(cfg)}.NUM_CLASSES"


def check_is_solo(cfg: CfgNode, what: str) -> None:
    """Stop where something is asked of a model that only SOLO and SOLOv2, and what inherits from them, have.

    Args:
        cfg: The config.
        what: The subject of the sentence, as "the survey of levels and grids".

    Raises:
        UserError: If it is another model that says so.
    """
    if node_name(cfg) != "SOLO":
        raise UserError(
            f"{what} is of SOLO and SOLOv2 only, and MODEL.META_ARCHITECTURE is "
            f"{cfg.MODEL.META_ARCHITECTURE}: there is no such thing for it."
        )


def _said(cfg: CfgNode, name: str) -> Any:
    """Return what the meta-architecture declares by that name; None: nothing, or it is not known (yet)."""
    if cfg.MODEL.META_ARCHITECTURE not in META_ARCH_REGISTRY:
        return None
    return getattr(architecture(cfg), name, None)
