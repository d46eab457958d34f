"""The optimizer of a config, SGD or AdamW, gradients clipped as detectron2 or the papers do; and its schedule."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.solver import LRMultiplier, build_lr_scheduler
from detectron2.solver.build import get_default_optimizer_params
from fvcore.common.param_scheduler import ParamScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from solo.config.choices import ClipType, Optimizer, Schedule, choose
from solo.errors import told_as

# Of the rate, in the last phase.
_FLAT_SHARE = 0.05
# Of what torch, detectron2 and fvcore refuse.
_REFUSED = "The config's SOLVER cannot be used"


class AdamW(torch.optim.AdamW):
    """AdamW that sees weights as they lie, see :func:`_turn`."""

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        gather: Callable[..., bool] = super()._init_group
        is_complex = gather(group, *lists)
        _turn(lists)
        return is_complex


class SGD(torch.optim.SGD):
    """SGD that sees weights as they lie, see :func:`_turn`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what torch's takes."""
        super().__init__(*args, **options)
        self.register_step_post_hook(_forget_views)

    def _init_group(self, group: dict[str, Any], *lists: list[Tensor]) -> bool:
        gather: Callable[..., bool] = super()._init_group
        # The first step finds a momentum of zero, which is what torch's makes of none.
        for parameter in group["params"] if group["momentum"] else ():
            if parameter.grad is not None and "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        is_sparse = gather(group, *lists)
        _turn(lists)
        return is_sparse


def _turn(lists: Sequence[list[Tensor]]) -> None:
    """Put views as contiguous ones in place of channels-last tensors: torch's fused steps on a CPU copy others."""
    of_weights = [tensors for tensors in lists if len(tensors) == len(lists[0])]
    for row, tensors in enumerate(zip(*of_weights, strict=True)):
        # Steps are scalars.
        if all(map(_is_channels_last, [tensor for tensor in tensors if tensor.dim()])):
            for column, tensor in zip(of_weights, tensors, strict=True):
                column[row] = tensor.permute(0, 2, 3, 1) if tensor.dim() else tensor


def _forget_views(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Remove the momentum that torch's SGD notes, a second time, for the weights as they lie."""
    own = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    for view in optimizer.state.keys() - own:
        del optimizer.state[view]


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


_OPTIMIZERS: dict[Optimizer, type[torch.optim.Optimizer]] = {
    Optimizer.SGD: SGD,
    Optimizer.ADAMW: AdamW,
}


def build_optimizer(cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer that SOLVER describes.

    Weight decay of normalisation layers and biases, and the learning rate of biases, are as
    detectron2's WEIGHT_DECAY_NORM, WEIGHT_DECAY_BIAS and BIAS_LR_FACTOR say.

    Args:
        cfg: The config.
        model: Whose parameters that require a gradient are trained.

    Returns:
        An optimizer whose ``step`` clips the gradients first, if SOLVER.CLIP_GRADIENTS.ENABLED.

    Raises:
        UserError: If SOLVER.OPTIMIZER or SOLVER.CLIP_GRADIENTS.CLIP_TYPE is unknown, or torch
            refuses a value.
    """
    solver = cfg.SOLVER
    kind = choose(Optimizer, solver.OPTIMIZER, "SOLVER.OPTIMIZER")
    groups = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
    )
    options: dict[str, Any] = {"lr": solver.BASE_LR, "weight_decay": solver.WEIGHT_DECAY}
    if kind is Optimizer.SGD:
        options |= {"momentum": solver.MOMENTUM, "nesterov": solver.NESTEROV}
    # One pass over the weights instead of a dozen.
    options["fused"] = True
    with told_as(_REFUSED):
        optimizer = _OPTIMIZERS[kind](groups, **options)
    if solver.CLIP_GRADIENTS.ENABLED:
        _clip_before_steps(optimizer, solver.CLIP_GRADIENTS)
    return optimizer


def build_scheduler(cfg: CfgNode, optimizer: torch.optim.Optimizer) -> LRScheduler:
    """Build the schedule of the learning rate that SOLVER describes, one of detectron2's or `CosineFlat`.

    Raises:
        UserError: If the schedule is unknown, or a value of it makes no sense.
    """
    if cfg.SOLVER.LR_SCHEDULER_NAME == Schedule.COSINE_FLAT:
        return LRMultiplier(optimizer, CosineFlat(cfg), cfg.SOLVER.MAX_ITER)
    with told_as(_REFUSED):
        return build_lr_scheduler(cfg, optimizer)


class CosineFlat(ParamScheduler):
    """A quadratic warm-up, a cosine, and a twentieth of the rate for the iterations without mosaic and mixup.

    SOLVER.WARMUP_FACTOR, 0 as it was published, SOLVER.WARMUP_ITERS, and INPUT.MULTI_IMAGE_OFF_ITERS have their say.

    Source: the code of YOLOX, arXiv 2107.08430.
    """

    def __init__(self, cfg: CfgNode) -> None:
        """Take the lengths from a config."""
        self._start, self._length = cfg.SOLVER.WARMUP_FACTOR, cfg.SOLVER.MAX_ITER
        self._warmup = cfg.SOLVER.WARMUP_ITERS
        self._flat = self._length - cfg.INPUT.MULTI_IMAGE_OFF_ITERS

    def __call__(self, where: float) -> float:
        """Return the factor of the learning rate at a share of the training."""
        iteration = round(where * self._length)
        if iteration < self._warmup:
            return self._start + (1 - self._start) * (iteration / self._warmup) ** 2
        if iteration >= self._flat:
            return _FLAT_SHARE
        done = (iteration - self._warmup) / (self._flat - self._warmup)
        return _FLAT_SHARE + (1 - _FLAT_SHARE) * (1 + math.cos(math.pi * done)) / 2


def _clip_before_steps(optimizer: torch.optim.Optimizer, node: CfgNode) -> None:
    """Let an optimizer clip the gradients before each step, which comes after they were unscaled."""
    limit, norm_type = node.CLIP_VALUE, node.NORM_TYPE
    clip_by: dict[ClipType, Callable[[list[Tensor]], Any]] = {
        ClipType.FULL_MODEL: lambda all_: nn.utils.clip_grad_norm_(all_, limit, norm_type),
        ClipType.NORM: lambda all_: [nn.utils.clip_grad_norm_(p, limit, norm_type) for p in all_],
        ClipType.VALUE: lambda all_: nn.utils.clip_grad_value_(all_, limit),
    }
    clip = clip_by[choose(ClipType, node.CLIP_TYPE, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE")]

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        clip([parameter for group in optimizer.param_groups for parameter in group["params"]])

    optimizer.register_step_pre_hook(before_step)
