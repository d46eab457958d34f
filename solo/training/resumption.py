"""A resumed run goes by its config: what was changed since is told, taken over, or refused with its reason."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from detectron2.config import CfgNode
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from solo.checkpoint import MisfitError
from solo.checkpoint.run_files import CONFIG
from solo.errors import UserError

logger = logging.getLogger(__name__)

# Where a run lies, and what it once started from, is nothing that a resumed run asks.
_IGNORED = {"OUTPUT_DIR", "MODEL.WEIGHTS", "MODEL.TIMM.PRETRAINED"}
# Options by which kinds of optimizers are told apart; others come and go with versions of torch.
_TELLING = {"momentum", "betas"}


def describe_changes(cfg: CfgNode, path: Path) -> str:
    """List the keys whose values are not those of a config.yaml: "SOLVER.BASE_LR (0.01 -> 0.005), ...".

    Args:
        cfg: The config.
        path: What a training wrote; where it cannot be read, nothing is known to be changed.

    Returns:
        The list; empty if nothing is changed. Keys that only one of both has are left out.
    """
    before: dict[str, Any] = {}
    with suppress(OSError, yaml.YAMLError):
        before = dict(_leaves(yaml.safe_load(path.read_text(encoding="utf-8"))))
    # By the same way, since yaml has no tuples.
    now = dict(_leaves(yaml.safe_load(cfg.dump())))
    return ", ".join(
        f"{key} ({before[key]} -> {value})"
        for key, value in now.items()
        if key not in _IGNORED and before.get(key, value) != value
    )


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield key, node
        return
    for name, value in node.items():
        yield from _leaves(value, f"{key}.{name}" if key else name)


@contextmanager
def told_changes(cfg: CfgNode) -> Iterator[None]:
    """Tell what was changed in the config since the run in OUTPUT_DIR was started, after its checkpoint is loaded.

    Raises:
        UserError: In place of a `MisfitError`, whose advice is for those who begin anew, if anything was.
    """
    changes = describe_changes(cfg, Path(cfg.OUTPUT_DIR, CONFIG))
    try:
        yield
    except MisfitError as error:
        if not changes:
            raise
        raise UserError(
            f"{error.what} Since that run was started, the config was changed: {changes}. Change back "
            "what does not go with its checkpoint, or set another OUTPUT_DIR."
        ) from error
    if changes:
        logger.warning("Changed since the run was started, and used from here on: %s.", changes)


def check_state(state: dict[str, Any], path: str, max_iter: int) -> None:
    """Raise a UserError at the state, in a checkpoint, of another trainer than ours, or of a longer training."""
    if "optimizer" not in state:
        raise UserError(
            f"{path} was not written by this trainer: set MODEL.WEIGHTS to it, and another "
            "OUTPUT_DIR, to start from its weights."
        )
    if (done := state["iteration"] + 1) > max_iter:
        raise UserError(
            f"{path} is of iteration {done:,}, beyond SOLVER.MAX_ITER, which is {max_iter:,}: raise that, or "
            "SOLVER.EPOCHS, to train further, or resume nothing."
        )


def load_optimizer(
    optimizer: Optimizer, scheduler: LRScheduler, state: dict[str, Any], path: str
) -> None:
    """Take over what an optimizer has gathered, while rates and options are those of the config.

    Args:
        optimizer: Built from the config.
        scheduler: Its schedule, at the iteration that it continues from.
        state: What ``optimizer.state_dict()`` returned.
        path: The checkpoint that has the state.

    Raises:
        MisfitError: If it is of another kind of optimizer, or of other parameters.
    """
    options = [
        {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]
    try:
        if state["param_groups"][0].keys() & _TELLING != options[0].keys() & _TELLING:
            raise ValueError(f"SOLVER.OPTIMIZER was another one than {type(optimizer).__name__}")
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise MisfitError(
            f"{path} cannot be continued: {error}.",
            "Resume with the config that it was trained with.",
        ) from error
    _lay_like_weights(optimizer)
    for group, of_config in zip(optimizer.param_groups, options, strict=True):
        group.update(of_config)
    scheduler.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, scheduler.get_lr(), strict=True):
        group["lr"] = rate


def _lay_like_weights(optimizer: Optimizer) -> None:
    """Let what was gathered lie in memory as the weights do, which another machine may lay otherwise.

    torch's fused steps on a CPU go through both as they lie, and would mix up elements without a word.
    """
    for parameter, gathered in optimizer.state.items():
        for name, value in gathered.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                gathered[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
