"""What a training begins with: MODEL.WEIGHTS, or the weights of the backbone alone."""

from detectron2.config import CfgNode

# Words of MODEL.TIMM.PRETRAINED; the others are from habit.
_HUB = ("hub", "True", "true")
_NOTHING = ("", "False", "false")


def starting_weights(cfg: CfgNode) -> str:
    """Return a file or an address; "" where everything starts from random weights.

    MODEL.WEIGHTS goes first: so whatever continues from a checkpoint never looks for those of a backbone.
    """
    return str(cfg.MODEL.WEIGHTS or backbone_weights(cfg))


def backbone_weights(cfg: CfgNode) -> str:
    """Return what MODEL.TIMM.PRETRAINED stands for: a file, an address, or ""."""
    asked = str(cfg.MODEL.TIMM.PRETRAINED)
    if asked in _NOTHING or "timm" not in cfg.MODEL.BACKBONE.NAME:
        return ""
    return f"timm://{cfg.MODEL.TIMM.NAME}" if asked in _HUB else asked
