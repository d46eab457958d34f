"""What training does besides its steps, in which order; and a warning of objects that no cell has to find."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm

from solo.checkpoint import SOLOCheckpointer, run_files
from solo.inference.datasets import best_metric_name
from solo.modeling.target_log import UNASSIGNED
from solo.training.ema import WeightAverage
from solo.training.evaluations import BestCheckpoint, EarlyStop, Evaluation
from solo.training.sanity import DurationWarning
from solo.training.shown_threshold import FinalThreshold

logger = logging.getLogger(__name__)


class UnassignedWarning(HookBase):
    """Warn, once, where most objects of the first batches are given to no cell."""

    # Counts that are waited for, and the share of the objects that is too much on average.
    NUM_COUNTS = 5
    LIMIT = 0.5

    def __init__(self, config_file: Path) -> None:
        """Advise to analyse the data with the config file of the run."""
        self._config_file = config_file
        self._done = False

    def after_step(self) -> None:
        """Look at the counts as soon as there are enough of them."""
        self._judge(self.NUM_COUNTS)

    def after_train(self) -> None:
        """Look at what there is."""
        self._judge(1)

    def _judge(self, least: int) -> None:
        history = self.trainer.storage.histories().get(UNASSIGNED)
        if self._done or history is None or len(history.values()) < least:
            return
        self._done = True
        if (share := history.global_avg()) > self.LIMIT:
            logger.warning(
                "%.0f%% of the objects in the first batches that were counted are given to no "
                "cell, so the model cannot learn to find them: their sizes, as trained on, do not "
                "fit MODEL.SOLO.SCALE_RANGES. Change these, or INPUT.MIN_SIZE_TRAIN and "
                "INPUT.MAX_SIZE_TRAIN; `solo data survey --config %s` "
                "proposes values.",
                100 * share,
                self._config_file,
            )


def build_hooks(
    cfg: CfgNode, checkpointer: SOLOCheckpointer, evaluate: Callable[[], Any]
) -> list[HookBase]:
    """Build what is done after each step and at the end, in this order, on every worker.

    The checkpointer is that of the model and the trainer; `evaluate` returns the results on DATASETS.TEST.
    """
    average = WeightAverage(checkpointer.model, cfg.SOLVER.EMA)
    checkpointer.as_saved = average.applied

    def evaluate_average() -> Any:
        average.share()
        with average.applied():
            return evaluate()

    items = [
        hooks.IterationTimer(),
        average,
        # Before the checkpoint, which holds the learning rate of the next step.
        hooks.LRScheduler(),
        # Before the evaluation: if that fails, the checkpoint is there. On all workers, since
        # the checkpointer's look at the weights has to stop all of them; one of them writes.
        hooks.PeriodicCheckpointer(
            checkpointer,
            cfg.SOLVER.CHECKPOINT_PERIOD,
            max_to_keep=(comm.is_main_process() and cfg.SOLVER.KEEP_CHECKPOINTS) or None,
        ),
    ]
    if comm.is_main_process():
        items.append(UnassignedWarning(Path(cfg.OUTPUT_DIR, run_files.CONFIG)))
        items.append(DurationWarning(cfg))
    if cfg.DATASETS.TEST:
        evaluation = Evaluation(cfg.TEST.EVAL_PERIOD, evaluate_average)
        items.append(evaluation)
        if comm.is_main_process():
            items.append(BestCheckpoint(checkpointer, best_metric_name(cfg)))
        if cfg.TEST.PATIENCE:
            items.append(EarlyStop(cfg, checkpointer, evaluation))
        if comm.is_main_process():
            items.append(FinalThreshold(cfg, checkpointer))
    return items
