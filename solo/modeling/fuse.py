"""Convolutions that take the normalisation after them into their weights, for inference."""

import torch
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import nn


@torch.no_grad()
def fuse_batch_norm(model: nn.Module) -> None:
    """Fold batch normalisation, frozen or in eval mode, into the convolutions before it, in place.

    The same results up to rounding, for a pass over the features less. The model cannot be trained any
    more, and the names of its parameters change.

    Args:
        model: In eval mode.
    """
    for conv in model.modules():
        if isinstance(conv, Conv2d) and isinstance(
            conv.norm, FrozenBatchNorm2d | nn.modules.batchnorm._BatchNorm
        ):
            norm = conv.norm
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            bias = 0 if conv.bias is None else conv.bias
            conv.bias = nn.Parameter(norm.bias + (bias - norm.running_mean) * scale)
            conv.weight *= scale.view(-1, 1, 1, 1)
            conv.norm = None
