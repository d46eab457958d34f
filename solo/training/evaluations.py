"""What evaluations during training decide: which weights are kept as the best, and an early end."""

import logging
import math
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.engine import HookBase, hooks
from detectron2.utils import comm

from solo.checkpoint import SOLOCheckpointer, read_checkpoint, run_files
from solo.inference.datasets import best_metric_name
from solo.training.shown_threshold import found_threshold

logger = logging.getLogger(__name__)


class Evaluation(hooks.EvalHook):
    """detectron2's hook, but for weights that were evaluated just now: these are not evaluated again."""

    def __init__(self, *args: Any) -> None:
        """See detectron2's EvalHook."""
        super().__init__(*args)
        self.is_done = False

    def after_train(self) -> None:
        """Evaluate at the end."""
        if not self.is_done:
            super().after_train()
        else:
            del self._func  # which may hold the trainer


class BestCheckpoint(HookBase):
    """Keep the weights of the best evaluation so far in model_best.pth.

    Unlike detectron2's ``BestCheckpointer``, it does not make this file the one that training
    continues from, and it knows after an interruption how good the file is.
    """

    NAME = Path(run_files.BEST_CHECKPOINT).stem

    def __init__(self, checkpointer: SOLOCheckpointer, metric: str) -> None:
        """Watch a metric of the event storage: the greater the better. The checkpointer writes."""
        self._checkpointer = checkpointer
        self._metric = metric
        self._best = -math.inf

    def before_train(self) -> None:
        """Look up how good the present file is, if this run continues one."""
        path = Path(self._checkpointer.save_dir, run_files.BEST_CHECKPOINT)
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
        threshold = found_threshold(storage, self._metric, iteration)
        self._checkpointer.save_weights(self.NAME, best=best, **threshold)

    after_train = after_step  # for the evaluation at the end


class EarlyStop(HookBase):
    """End training as if SOLVER.MAX_ITER was reached, after TEST.PATIENCE evaluations without a gain.

    A gain is a rise of the metric that chooses the best checkpoint, by more than TEST.MIN_GAIN since the
    last gain. All workers have this hook, as they have to stop together; the first one decides.
    """

    def __init__(
        self, cfg: CfgNode, checkpointer: SOLOCheckpointer, evaluation: Evaluation
    ) -> None:
        """Watch an evaluation, as TEST says; the checkpointer saves what is left in the end."""
        self._metric = best_metric_name(cfg)
        self._period: int = cfg.TEST.EVAL_PERIOD
        self._patience: int = cfg.TEST.PATIENCE
        self._min_gain: float = cfg.TEST.MIN_GAIN
        # Other views are looked at in the end only.
        self._ends_with_evaluation: bool = cfg.TEST.AUG.ENABLED
        self._checkpointer = checkpointer
        self._evaluation = evaluation
        # The last gain; before the first, that of iteration -1.
        self._value, self._iteration = -math.inf, -1
        self._stopped_at = 0

    def before_train(self) -> None:
        """Take over a gain after the checkpoint that this run continues: its evaluation is not repeated."""
        start, path = self.trainer.start_iter, self._best_path
        if comm.is_main_process() and start > 0 and path.is_file():
            best: dict[str, Any] = read_checkpoint(path).get("best", {})
            if best.get("metric") == self._metric and best["iteration"] < start:
                self._look(best["value"], best["iteration"])

    @property
    def _best_path(self) -> Path:
        return Path(self._checkpointer.save_dir, run_files.BEST_CHECKPOINT)

    def _look(self, value: float, iteration: int) -> None:
        if value > self._value + self._min_gain:
            self._value, self._iteration = float(value), int(iteration)

    def after_step(self) -> None:
        """Look at the evaluation that was made after this step, if there was one."""
        done = self.trainer.iter + 1
        if self._period < 1 or done % self._period or done >= self.trainer.max_iter:
            return
        if comm.is_main_process():
            value, iteration = self.trainer.storage.latest().get(self._metric, (math.nan, -1))
            if iteration == self.trainer.iter:
                self._look(value, iteration)
        # The iteration of the last gain is known to the first worker.
        self._iteration = comm.all_gather(self._iteration)[0]
        if self._fruitless(self.trainer.iter) >= self._patience:
            self._stop()

    def _fruitless(self, iteration: int) -> int:
        """Count the evaluations since the last gain: from iterations, so that a resumed run counts them, too."""
        return (iteration - self._iteration) // self._period

    def _stop(self) -> None:
        self._stopped_at = self.trainer.max_iter = self.trainer.iter + 1
        self._evaluation.is_done = not self._ends_with_evaluation
        # What PeriodicCheckpointer does at the end, which it does not know of.
        final = Path(run_files.FINAL_CHECKPOINT).stem
        self._checkpointer.save(final, iteration=self.trainer.iter)
        logger.info(
            "Stopped early, after iteration %d: %s has not risen by more than %g in %d evaluations "
            "(TEST.PATIENCE). %s",
            *(
                self.trainer.iter,
                self._metric,
                self._min_gain,
                self._patience,
                self._best_sentence(),
            ),
        )

    def _best_sentence(self) -> str:
        if not math.isfinite(self._value):
            return "It was never a number."
        return (
            f"The last gain was to {self._value:.4f}, after iteration {self._iteration}; the best weights are "
            f"in {self._best_path}."
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the last gain, and whether training ended for the lack of another."""
        return {
            "value": self._value,
            "iteration": self._iteration,
            "stopped_at": self._stopped_at,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was found; a run that had stopped goes on only where there is more patience now."""
        self._value, self._iteration = state["value"], state["iteration"]
        end: int = state["stopped_at"]
        if not end:
            return
        fruitless = self._fruitless(end - 1) if self._period > 0 else 0
        if fruitless < self._patience:
            return
        self._stopped_at = self.trainer.max_iter = end
        logger.warning(
            "This run was stopped early, in iteration %d of %d, after %d evaluations in which %s did not "
            "rise by more than %g: raise TEST.PATIENCE, or set it to 0, to train further.",
            *(end, self.trainer.cfg.SOLVER.MAX_ITER, fruitless, self._metric, self._min_gain),
        )
