"""What of a model training leaves as it is: no gradients, and normalisation as at test."""

from torch import nn

from solo.config.choices import Freeze


def frozen_part(backbone: nn.Module, freeze: Freeze) -> nn.Module | None:
    """Return what MODEL.SOLO.FREEZE stands for: what is below the pyramid, or the pyramid with it."""
    if freeze == Freeze.NONE:
        return None
    if freeze == Freeze.ALL_BUT_HEAD:
        return backbone
    return getattr(backbone, "bottom_up", backbone)  # one without a pyramid is all backbone
