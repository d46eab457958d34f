"""Less memory in training, at the price of time: layers that are computed again on the way back."""

from collections.abc import Callable

import torch
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


def gathers_statistics(*layers: nn.Module) -> bool:
    """Tell whether there is batch normalisation that is not frozen: run twice, it counts twice."""
    return any(isinstance(part, _BatchNorm) for layer in layers for part in layer.modules())
