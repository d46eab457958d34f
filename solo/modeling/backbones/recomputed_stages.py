"""Less memory in training: stages of a backbone that are computed again on the way back."""

from detectron2.modeling import ResNet
from torch import nn

from solo.layers.recompute import Recomputed, gathers_statistics


def recompute_stages(backbone: nn.Module) -> None:
    """Make the stages of a ResNet keep their inputs only, in place.

    Frozen stages keep nothing anyway. Stages with batch normalisation that gathers statistics stay as
    they are.
    """
    for module in backbone.modules():
        if not isinstance(module, ResNet):
            continue
        for index, name in enumerate(module.stage_names):
            if not gathers_statistics(module.stages[index]):
                module.stages[index] = Recomputed(*module.stages[index])
                setattr(module, name, module.stages[index])
