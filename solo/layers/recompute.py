"""Less memory in training, at the price of time: layers that are computed again on the way back."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from detectron2.modeling import ResNet
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class Recomputed(nn.Sequential):
    """Layers of which training keeps the input only: the same numbers for less memory."""

    def forward(self, features: Tensor) -> Tensor:
        """Run the layers."""
        run: Callable[[Tensor], Tensor] = super().forward
        if not torch.is_grad_enabled():
            return run(features)
        return checkpoint(run, features, use_reentrant=False)


@runtime_checkable
class Recomputable(Protocol):
    """What knows by itself how to keep less in training."""

    def recompute(self) -> None:
        """Keep less from now on."""


def gathers_statistics(*layers: nn.Module) -> bool:
    """Tell whether there is batch normalisation that is not frozen: run twice, it counts twice."""
    return any(isinstance(part, _BatchNorm) for layer in layers for part in layer.modules())


def recompute_stages(backbone: nn.Module) -> None:
    """Make the stages of a ResNet, or of a backbone that has a way of its own, keep their inputs only, in place.

    Frozen stages keep nothing anyway. Stages with batch normalisation that gathers statistics stay as
    they are.
    """
    for module in backbone.modules():
        if isinstance(module, Recomputable):
            module.recompute()
        if not isinstance(module, ResNet):
            continue
        for index, name in enumerate(module.stage_names):
            if not gathers_statistics(module.stages[index]):
                module.stages[index] = Recomputed(*module.stages[index])
                setattr(module, name, module.stages[index])
