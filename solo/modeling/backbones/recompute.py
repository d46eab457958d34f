"""Less memory in training: blocks of a backbone that compute their insides again on the way back."""

from functools import partial

from detectron2.layers import CNNBlockBase
from torch import nn
from torch.utils.checkpoint import checkpoint

from solo.layers.conv import gathers_statistics


def recompute_blocks(backbone: nn.Module) -> None:
    """Make the blocks of a ResNet keep their inputs only, in place.

    The stem and blocks that are frozen keep nothing anyway. Blocks with batch normalisation that
    gathers statistics stay as they are: running them twice would count a batch twice.
    """
    for block in backbone.modules():
        if isinstance(block, CNNBlockBase) and not gathers_statistics(block):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
