"""Warnings, with numbers, where a schedule makes no sense for the data or for the machine."""

import logging
from collections.abc import Callable, Iterator, Sized
from functools import partial

from detectron2.config import CfgNode
from detectron2.engine import HookBase
from detectron2.utils import comm

from solo.architectures import predicts_masks
from solo.config.choices import Freeze, Optimizer
from solo.config.starting_weights import starting_weights
from solo.terminal import how_many
from solo.training.work import LIGHT, light_share

logger = logging.getLogger(__name__)

# As long as detectors are trained from scratch, YOLOX's 300 epochs of COCO being 303 of the images with objects;
# beyond it, a few images are learned by heart.
_MOST_EPOCHS = 303
# The 3x schedules of COCO have 36.8 epochs of the images with objects, and are published without evaluations.
_BLIND_EPOCHS = 40
# SGD as published: 0.01 for 16 images; and how much more is more than a matter of taste, since what is so
# many times too high diverges with the first hundred steps.
_RATE_OF_AN_IMAGE, _RATE_TOO_HIGH = 0.01 / 16, 3.0
# Steps that are measured, the first of which pick kernels and fill caches.
_MEASURED = 20
_MOST_DAYS, _DAY = 3.0, 86400
# Share of a step's work below which another model is worth a word.
_LIGHTER = 0.7
# Those of the published schedules, the longest of which may take as long as they do.
_MANY_GPUS = 8

_FOR_SMALL_DATA = "For small data take the config finetune/solov2_light_448_R_50_FPN_50e, or set SOLVER.EPOCHS 50."


def warn_of_schedule(cfg: CfgNode, loader: object) -> None:
    """Warn, once and with the numbers, of what in a schedule does not go with the data.

    Args:
        cfg: The config, scaled to the workers.
        loader: The batches of training; of what is no loader the number of images is not known.
    """
    images = getattr(loader, "dataset", None)
    if not isinstance(images, Sized) or not len(images) or not comm.is_main_process():
        return
    if found := " ".join(schedule_warnings(cfg, len(images))):
        logger.warning("%s", found)


def schedule_warnings(cfg: CfgNode, images: int) -> Iterator[str]:
    """Yield a sentence for each oddity of a schedule.

    Args:
        cfg: The config, scaled to the workers.
        images: Number of images to train on.
    """
    solver = cfg.SOLVER
    batch, seen = solver.IMS_PER_BATCH, solver.MAX_ITER * solver.IMS_PER_BATCH
    epochs = seen / images
    yours = how_many(images, "image")
    steps = f"{solver.MAX_ITER:,} iterations of {how_many(batch, 'image')}"
    length = f"{steps} are {epochs:,.0f} epochs of your {yours}"
    blind = cfg.DATASETS.TEST and not 0 < cfg.TEST.EVAL_PERIOD < solver.MAX_ITER
    if round(epochs) > _MOST_EPOCHS:
        yield f"{length}{'; there is no evaluation before the end' if blind else ''}. {_FOR_SMALL_DATA}"
    elif blind and epochs > _BLIND_EPOCHS:
        yield f"{length}, without an evaluation before the end: set TEST.EVAL_PERIOD {_tenth(cfg)}."
    elif epochs < 1:
        yield (
            f"{steps} show {seen:,} of your {yours}: "
            "the others are never seen. Raise SOLVER.MAX_ITER, or set SOLVER.EPOCHS."
        )
    fitting = _RATE_OF_AN_IMAGE * batch
    times = solver.BASE_LR / fitting
    if solver.OPTIMIZER == Optimizer.SGD and times > _RATE_TOO_HIGH:
        yield (
            f"SOLVER.BASE_LR {solver.BASE_LR:g} is {times:.1f} times the published rate, "
            f"0.01 for 16 images, scaled to {batch}: set it to {fitting:g}."
        )
    if solver.WARMUP_ITERS >= solver.MAX_ITER:
        yield (
            f"The warm-up of {solver.WARMUP_ITERS:,} iterations takes all {solver.MAX_ITER:,}: set "
            f"SOLVER.WARMUP_ITERS {_tenth(cfg)}."
        )
    last_phase = cfg.INPUT.MULTI_IMAGE_OFF_ITERS
    if last_phase and last_phase > solver.MAX_ITER - solver.WARMUP_ITERS:
        yield (
            f"The last phase of {last_phase:,} iterations (INPUT.MULTI_IMAGE_OFF_ITERS) and the warm-up take all "
            f"{solver.MAX_ITER:,}: set it to {_tenth(cfg)}, or the length by SOLVER.EPOCHS, which scales both."
        )
    yield from _frozen_at_random(cfg)


def _frozen_at_random(cfg: CfgNode) -> Iterator[str]:
    """Yield a sentence for each part that stays as it is and has random weights."""
    if cfg.MODEL.SOLO.FREEZE != Freeze.NONE and not cfg.MODEL.WEIGHTS:
        yield (
            f"MODEL.SOLO.FREEZE {cfg.MODEL.SOLO.FREEZE} leaves random weights as they are, since "
            "MODEL.WEIGHTS is empty."
        )
    timm = cfg.MODEL.TIMM
    frozen = "timm" in cfg.MODEL.BACKBONE.NAME and (timm.FREEZE_AT or timm.FREEZE_NORM)
    if frozen and not starting_weights(cfg):
        yield (
            f"MODEL.TIMM.FREEZE_AT {timm.FREEZE_AT} and FREEZE_NORM {timm.FREEZE_NORM} leave random weights as "
            "they are, since MODEL.WEIGHTS is empty: set 0 and False, or MODEL.TIMM.PRETRAINED."
        )


def _tenth(cfg: CfgNode) -> int:
    return max(1, int(cfg.SOLVER.MAX_ITER) // 10)


class DurationWarning(HookBase):
    """Warn after the first steps where training will take longer than anybody waits."""

    def __init__(self, cfg: CfgNode) -> None:
        """Take the config for what is advised; the times are those of detectron2's IterationTimer."""
        self._cfg = cfg
        gpus = comm.get_world_size() if cfg.MODEL.DEVICE != "cpu" else 0
        self._done = gpus >= _MANY_GPUS
        self._on_cpu = not gpus

    def after_step(self) -> None:
        """Look at the time of the steps as soon as there are enough of them."""
        times = self.trainer.storage.histories().get("time")
        if self._done or times is None or len(times.values()) < _MEASURED:
            return
        self._done = True
        told = duration_warning(
            times.median(_MEASURED),
            self.trainer.max_iter - self.trainer.iter - 1,
            on_cpu=self._on_cpu,
            # A light model of masks is no way out for who looks for boxes.
            light=partial(light_share, self._cfg) if predicts_masks(self._cfg) else lambda: 1.0,
        )
        if told:
            logger.warning("%s", told)


def duration_warning(
    seconds: float,
    iterations: int,
    *,
    on_cpu: bool,
    light: Callable[[], float | None] = lambda: None,
) -> str:
    """Return what to say where iterations take too long; empty where they do not.

    Args:
        seconds: Of an iteration here.
        iterations: That are left.
        on_cpu: Whether there is no GPU.
        light: Returns the share of a step that one of the light model is, see `light_share`.
    """
    if seconds * iterations <= _MOST_DAYS * _DAY:
        return ""
    share = light()
    ways = ["fewer (SOLVER.EPOCHS)", "smaller images (INPUT.MIN_SIZE_TRAIN)"]
    if share is None or share < _LIGHTER:
        ways.append(f"a lighter model ({LIGHT}{_here(seconds, iterations, share)})")
    return (
        f"{_seconds(seconds)} an iteration here: the {iterations:,} that are left take "
        f"{_days(seconds * iterations)}. Take {', '.join(ways)}, {'or a GPU' if on_cpu else 'or more GPUs'}."
    )


def _here(seconds: float, iterations: int, share: float | None) -> str:
    if share is None:
        return ""
    seconds *= share
    return f": about {_seconds(seconds)} an iteration here, {_days(seconds * iterations)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.{1 if seconds < 10 else 0}f} s"


def _days(seconds: float) -> str:
    days = seconds / _DAY
    return f"{days:,.{1 if days < 3 else 0}f} days"
