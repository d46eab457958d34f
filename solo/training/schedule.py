"""A training that is as long as so many epochs: iterations, steps and periods as plain numbers, from the data."""

import logging
import math
from collections.abc import Sequence
from operator import attrgetter

from detectron2.config import CfgNode

from solo.config import get_cfg
from solo.data.training_records import repeat_factors, training_records
from solo.errors import UserError

logger = logging.getLogger(__name__)

# Evaluations and checkpoints of a run that says in epochs only how long it is.
_TIMES = 10
# Share of the iterations that the warm-up takes at most.
_WARMUP = 0.1
# What epochs decide alone.
_LENGTH = "SOLVER.MAX_ITER"
_DECIDED = (_LENGTH, "TEST.EVAL_PERIOD", "SOLVER.CHECKPOINT_PERIOD")


def resolve_schedule(cfg: CfgNode, options: Sequence[str] = ()) -> None:
    """Turn SOLVER.EPOCHS, in place, into iterations; 0 leaves all as it is.

    SOLVER.MAX_ITER becomes what the epochs need, with the images that training uses. SOLVER.STEPS and
    INPUT.MULTI_IMAGE_OFF_ITERS keep their shares of it, SOLVER.WARMUP_ITERS takes a tenth at most.
    TEST.EVAL_PERIOD is as TEST.EVAL_EPOCHS says, and SOLVER.CHECKPOINT_PERIOD a multiple of it. Resolved
    once more, with the same data, a config stays as it is: so config.yaml of a run is one to resume with. What was given in vain is told in a warning.

    Args:
        cfg: The config; a frozen one is frozen again afterwards.
        options: The KEY VALUE ... among what it was made of.

    Raises:
        OSError: If a file of the data cannot be read.
        UserError: If the data cannot be trained on, or a number makes no sense.
    """
    for key, value in (
        ("SOLVER.EPOCHS", cfg.SOLVER.EPOCHS),
        ("TEST.EVAL_EPOCHS", cfg.TEST.EVAL_EPOCHS),
    ):
        if not 0 <= value < math.inf:
            raise UserError(f"{key} is {value}: give a number of epochs, or 0.")
    if not cfg.SOLVER.EPOCHS:
        return
    # An image that the sampler repeats counts as often as it does.
    images = sum(repeat_factors(cfg, training_records(cfg, keep=True)))
    given, frozen = cfg.clone(), cfg.is_frozen()
    cfg.defrost()
    _set_iterations(cfg, images / cfg.SOLVER.IMS_PER_BATCH)
    if frozen:
        cfg.freeze()
    if unused := _unused(given, cfg, options):
        logger.warning(
            "SOLVER.EPOCHS %g decides, and what else was given is not used: %s. TEST.EVAL_EPOCHS says how "
            "often to evaluate, SOLVER.EPOCHS 0 goes by iterations.",
            *(cfg.SOLVER.EPOCHS, ", ".join(unused)),
        )


def _unused(given: CfgNode, cfg: CfgNode, options: Sequence[str]) -> list[str]:
    """Return what was given of the keys that epochs decide, and what they are in its place."""
    told, usual = [], get_cfg()
    for key in _DECIDED:
        value, used, default = (attrgetter(key)(node) for node in (given, cfg, usual))
        # Of a yaml the length is used: steps are given as shares of it.
        was_given = key in options[::2] or (key != _LENGTH and value != default)
        if was_given and value != used:
            told.append(f"{key} {value} (it is {used})")
    return told


def _set_iterations(cfg: CfgNode, per_epoch: float) -> None:
    solver, before = cfg.SOLVER, cfg.SOLVER.MAX_ITER
    length = solver.MAX_ITER = _iterations(solver.EPOCHS * per_epoch)
    # The scheduler takes no two steps that fall together, and none at the end.
    steps = {max(1, round(step * length / before)) for step in solver.STEPS}
    solver.STEPS = tuple(sorted(step for step in steps if step < length))
    solver.WARMUP_ITERS = min(solver.WARMUP_ITERS, max(1, int(length * _WARMUP)))
    cfg.INPUT.MULTI_IMAGE_OFF_ITERS = round(cfg.INPUT.MULTI_IMAGE_OFF_ITERS * length / before)
    tenth = _iterations(length / _TIMES)
    period = _iterations(cfg.TEST.EVAL_EPOCHS * per_epoch) if cfg.TEST.EVAL_EPOCHS else tenth
    cfg.TEST.EVAL_PERIOD = min(period, length)
    # Each checkpoint is of an evaluation, but not each evaluation is worth the disk.
    solver.CHECKPOINT_PERIOD = min(period * math.ceil(tenth / period), length)


def _iterations(number: float) -> int:
    """Round up; 7.000000000000001 is 7."""
    return max(1, math.ceil(number - 1e-6))


def log_schedule(cfg: CfgNode) -> None:
    """Log what a number of epochs was turned into, if one was given."""
    solver = cfg.SOLVER
    if solver.EPOCHS:
        logger.info(
            "SOLVER.EPOCHS %g: %d iterations of %d images, a warm-up of %d, the rate lowered at %s, an "
            "evaluation each %d and a checkpoint each %d iterations.",
            *(solver.EPOCHS, solver.MAX_ITER, solver.IMS_PER_BATCH, solver.WARMUP_ITERS),
            *(list(solver.STEPS), cfg.TEST.EVAL_PERIOD, solver.CHECKPOINT_PERIOD),
        )
