"""A model that is not trained any more: no normalisation of its own, and the memory format of inference."""

import torch
from detectron2.config import CfgNode
from detectron2.layers import Conv2d, FrozenBatchNorm2d
from torch import nn

from solo.layers.memory_format import memory_format
from solo.modeling.backbones.timm_backbone import TimmBackbone
from solo.modeling.necks.halving import HalvingConv


def prepare_for_inference(model: nn.Module, cfg: CfgNode) -> None:
    """Make a model as fast as it can be where it is not trained any more, in place.

    Args:
        model: It is put into eval mode, and loses what only training runs; see :func:`fuse_batch_norm`.
        cfg: That it was built from.
    """
    model.eval()
    _drop_training_only(model)
    fuse_batch_norm(model)
    for part in model.modules():
        if isinstance(part, HalvingConv):
            part.keep_kernel()
    model.to(memory_format=memory_format(cfg, training=False))


def _drop_training_only(model: nn.Module) -> None:
    """Remove the parts that a model declares by the names of their weights; see `Head.training_only`."""
    for prefix in getattr(model, "training_only", ()):
        owner, _, part = prefix.removesuffix(".").rpartition(".")
        setattr(model.get_submodule(owner), part, None)


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
            norm, bias = conv.norm, 0 if conv.bias is None else conv.bias
            mean, variance = norm.running_mean, norm.running_var
            assert mean is not None and variance is not None  # get_norm builds no other kind
            scale = norm.weight / torch.sqrt(variance + norm.eps)
            conv.bias = nn.Parameter(norm.bias + (bias - mean) * scale)
            conv.weight *= scale.view(-1, 1, 1, 1)
            conv.norm = None
    for backbone in model.modules():
        if isinstance(backbone, TimmBackbone):
            backbone.fuse_batch_norm()
