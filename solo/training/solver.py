"""The optimizer of a config: SGD or AdamW, gradients clipped as detectron2 or the papers do."""

import itertools
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.solver import build_lr_scheduler
from detectron2.solver.build import get_default_optimizer_params, maybe_add_gradient_clipping
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from solo.errors import UserError, told_as

# Of what torch, detectron2 and fvcore refuse.
_REFUSED = "The config's SOLVER cannot be used"

_OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "AdamW": torch.optim.AdamW,
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
    if solver.OPTIMIZER not in _OPTIMIZERS:
        raise UserError(
            f"SOLVER.OPTIMIZER is {solver.OPTIMIZER!r}; choose one of {', '.join(_OPTIMIZERS)}."
        )
    groups = get_default_optimizer_params(
        model,
        base_lr=solver.BASE_LR,
        weight_decay_norm=solver.WEIGHT_DECAY_NORM,
        bias_lr_factor=solver.BIAS_LR_FACTOR,
        weight_decay_bias=solver.WEIGHT_DECAY_BIAS,
    )
    options: dict[str, Any] = {"lr": solver.BASE_LR, "weight_decay": solver.WEIGHT_DECAY}
    if solver.OPTIMIZER == "SGD":
        options |= {"momentum": solver.MOMENTUM, "nesterov": solver.NESTEROV}
    # One pass over the weights instead of a dozen.
    options["fused"] = True
    kind = _add_clipping(cfg, _OPTIMIZERS[solver.OPTIMIZER])
    with told_as(_REFUSED):
        return kind(groups, **options)


def build_scheduler(cfg: CfgNode, optimizer: torch.optim.Optimizer) -> LRScheduler:
    """Build detectron2's schedule of the learning rate that SOLVER describes.

    Raises:
        UserError: If the schedule is unknown, or a value of it makes no sense.
    """
    with told_as(_REFUSED):
        return build_lr_scheduler(cfg, optimizer)


def _add_clipping(
    cfg: CfgNode, optimizer: type[torch.optim.Optimizer]
) -> type[torch.optim.Optimizer]:
    clipping = cfg.SOLVER.CLIP_GRADIENTS
    if not clipping.ENABLED:
        return optimizer
    if clipping.CLIP_TYPE == "full_model":
        return _clip_full_model(optimizer, clipping.CLIP_VALUE, clipping.NORM_TYPE)
    if clipping.CLIP_TYPE in ("value", "norm"):
        return maybe_add_gradient_clipping(cfg, optimizer)
    raise UserError(
        f"SOLVER.CLIP_GRADIENTS.CLIP_TYPE is {clipping.CLIP_TYPE!r}; choose full_model (the norm "
        "over all parameters), norm or value (each parameter by itself)."
    )


def _clip_full_model(
    optimizer: type[torch.optim.Optimizer], max_norm: float, norm_type: float
) -> type[torch.optim.Optimizer]:
    """Derive an optimizer that clips the norm of all gradients taken together before each step.

    In ``step`` and not in the trainer, because a GradScaler unscales the gradients right before it
    calls ``step``, and leaves it out where they are not finite.
    """

    def step(self: torch.optim.Optimizer, closure: Any = None) -> Any:
        parameters = itertools.chain.from_iterable(group["params"] for group in self.param_groups)
        nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
        return optimizer.step(self, closure)

    return type(f"{optimizer.__name__}WithFullModelClipping", (optimizer,), {"step": step})
