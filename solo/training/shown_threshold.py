"""The threshold of the best F1, from the evaluation of weights into the checkpoint that holds them."""

import math
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.engine import HookBase
from detectron2.utils.events import EventStorage

from solo.architectures import BBOX, SEGM
from solo.checkpoint import SOLOCheckpointer
from solo.checkpoint.beside_weights import BEST_F1, add_to_checkpoint
from solo.checkpoint.run_files import FINAL_CHECKPOINT
from solo.files import Spared
from solo.inference.datasets import best_metric_name


def found_threshold(storage: EventStorage, metric: str, since: int) -> dict[str, dict[str, float]]:
    """Return what a checkpoint says of the threshold that an evaluation found: nothing if it found none.

    It is that of augmented views where they were looked at, as predictions take them from then on.

    Args:
        storage: That the evaluation was recorded in.
        metric: The name of the AP there that chooses the best checkpoint, of the same data set.
        since: The first iteration whose evaluation is one of the weights in question.
    """
    latest = storage.latest()
    dataset = metric.removesuffix("/AP").rpartition("/")[0]
    tasks = [
        f"{dataset}/{task}".lstrip("/") for task in (SEGM, BBOX)
    ]  # it stands in one of the two
    for name in (*map(_augmented, tasks), *tasks):
        threshold, iteration = latest.get(f"{name}/threshold", (math.nan, -1))
        if iteration >= since and math.isfinite(threshold):
            return {BEST_F1: {"threshold": float(threshold), "F1": float(latest[f"{name}/F1"][0])}}
    return {}


def _augmented(task: str) -> str:
    """Return the name of a task in the tables of `evaluate_with_tta`: segm_TTA, DATASET_TTA/segm."""
    dataset, _, task = task.rpartition("/")
    return f"{dataset}_TTA/{task}" if dataset else f"{task}_TTA"


class FinalThreshold(HookBase):
    """Add the threshold to the last checkpoint, which is saved before the last evaluation in case that fails."""

    def __init__(self, cfg: CfgNode, checkpointer: SOLOCheckpointer) -> None:
        """Watch the evaluations of a config; the checkpointer knows where the file is."""
        self._metric = best_metric_name(cfg)
        self._checkpointer = checkpointer

    def after_train(self) -> None:
        """Write the file again; where it cannot be written it stays as it is."""
        path = Path(self._checkpointer.save_dir, FINAL_CHECKPOINT)
        # After an early end it is the evaluation that ended it, one iteration before.
        found = found_threshold(self.trainer.storage, self._metric, self.trainer.max_iter - 1)
        if found and self._checkpointer.last_saved == str(path):
            with Spared(path):
                add_to_checkpoint(path, **found)
