"""What training does besides its steps: the best checkpoint, and metrics without double entries."""

import importlib.util
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm
from detectron2.utils.events import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter

from solo.checkpoint import SOLOCheckpointer, read_checkpoint, run_files
from solo.errors import UserError
from solo.files import write_text
from solo.inference.datasets import best_metric_name
from solo.modeling.target_log import UNASSIGNED
from solo.training.sanity import DurationWarning
from solo.training.spared_logs import SparedWriter

logger = logging.getLogger(__name__)


class BestCheckpoint(HookBase):
    """Keep the weights of the best evaluation so far in model_best.pth.

    Unlike detectron2's ``BestCheckpointer``, it does not make this file the one that training
    continues from, and it knows after an interruption how good the file is.
    """

    NAME = "model_best"

    def __init__(self, checkpointer: SOLOCheckpointer, metric: str) -> None:
        """Watch a metric of the event storage: the greater the better. The checkpointer writes."""
        self._checkpointer = checkpointer
        self._metric = metric
        self._best = -math.inf

    def before_train(self) -> None:
        """Look up how good the present file is, if this run continues one."""
        path = Path(self._checkpointer.save_dir, f"{self.NAME}.pth")
        if self.trainer.start_iter > 0 and path.is_file():
            best: dict[str, Any] = read_checkpoint(path).get("best", {})
            if best.get("metric") == self._metric:
                self._best = best["value"]

    def after_step(self) -> None:
        """Save the weights if they were evaluated after this step and are the best."""
        storage = self.trainer.storage
        value, iteration = storage.latest().get(self._metric, (math.nan, -1))
        # A comparison with nan is false: no evaluation, or one without any object.
        if iteration != storage.iter or not value > self._best:
            return
        logger.info("%s is %.4f, the best so far: %s.pth", self._metric, value, self.NAME)
        self._best = float(value)
        best = {"metric": self._metric, "value": self._best, "iteration": int(iteration)}
        self._checkpointer.save_weights(self.NAME, best=best)

    after_train = after_step  # for the evaluation at the end


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
                "INPUT.MAX_SIZE_TRAIN; python -m solo.tools.analyze_dataset --config-file %s "
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
    items = [
        hooks.IterationTimer(),
        # Before the checkpoint, which holds the learning rate of the next step.
        hooks.LRScheduler(),
        # Before the evaluation: if that fails, the checkpoint is there. On all workers, since
        # the checkpointer's look at the weights has to stop all of them; one of them writes.
        hooks.PeriodicCheckpointer(checkpointer, cfg.SOLVER.CHECKPOINT_PERIOD),
    ]
    if comm.is_main_process():
        items.append(UnassignedWarning(Path(cfg.OUTPUT_DIR, run_files.CONFIG)))
        items.append(DurationWarning(cfg))
    if cfg.DATASETS.TEST:
        items.append(hooks.EvalHook(cfg.TEST.EVAL_PERIOD, evaluate))
        if comm.is_main_process():
            items.append(BestCheckpoint(checkpointer, best_metric_name(cfg)))
    return items


def build_writers(output_dir: str, *, start_iter: int, max_iter: int) -> list[EventWriter]:
    """Build the writers of losses and metrics: to the log, to metrics.json, and to TensorBoard.

    Args:
        output_dir: Where the files are.
        start_iter: The first iteration of this run; later ones in the files are forgotten.
        max_iter: The iteration at which training ends.

    Returns:
        The writers; without TensorBoard's where it is not installed.
    """
    metrics = Path(output_dir, run_files.METRICS)
    forget_metrics(metrics, start_iter)
    writers = [CommonMetricPrinter(max_iter), SparedWriter(JSONWriter(str(metrics)), metrics)]
    if importlib.util.find_spec("tensorboard"):
        board = TensorboardXWriter(output_dir, purge_step=start_iter)
        writers.append(SparedWriter(board, Path(output_dir, "events.out.tfevents.*")))
    else:
        logger.info("tensorboard is not installed: the curves are in metrics.json only.")
    return writers


def forget_metrics(path: Path, start_iter: int) -> None:
    """Remove from metrics.json what training is about to do again, and a line cut off by a kill.

    What a run without a checkpoint left is kept beside it, in metrics.previous.json.
    """
    if not path.is_file():
        return
    if start_iter == 0:
        path.replace(path.with_name(run_files.PREVIOUS_METRICS))
        return
    lines = path.read_text().splitlines()
    write_text("".join(f"{line}\n" for line in lines if _is_past(line, start_iter)), path)


def _is_past(line: str, start_iter: int) -> bool:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return False
    # The evaluation at the end of a run has the number of the step that would come next.
    is_evaluation = "total_loss" not in record
    return record["iteration"] < start_iter + is_evaluation


def plot_curves(output_dir: str) -> None:
    """Draw metrics.json to curves.png beside it; a picture that fails is no reason to fail."""
    folder = Path(output_dir)
    try:
        # Here, because matplotlib takes a second to import and may be missing.
        from solo.visualization import plot_metrics

        plot_metrics(folder / run_files.METRICS, folder / run_files.CURVES)
    except (ImportError, OSError, UserError) as error:
        logger.warning("curves.png was not drawn: %s", error)
