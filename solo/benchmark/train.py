"""One step of training: forward, backward and the update of the weights."""

from collections.abc import Iterable
from functools import reduce
from itertools import repeat
from operator import add
from typing import Any

from detectron2.config import CfgNode
from torch import Tensor

from solo.benchmark.models import check_positive, load_model
from solo.benchmark.sizes import INPUT, Size
from solo.benchmark.synthetic import training_batch
from solo.benchmark.timing import Row, measure
from solo.data import build_train_loader
from solo.layers.stages import stage
from solo.modeling.meta_arch import SOLO
from solo.modeling.precision import training_precision
from solo.training.solver import build_optimizer

TIMED = (
    "Timed: one step of training in this process, from the batch (with a data set: from its files) to\n"
    "the new weights; losses has the masks that are decoded for them. Memory: the peak of the first step\n"
    "above the model and its images; gradients and the state of the optimizer count."
)


def benchmark_training(
    cfg: CfgNode,
    *,
    size: Size = INPUT,
    images: int = 1,
    objects: int = 20,
    repeats: int = 5,
    dataset: str = "",
    progress: bool = False,
) -> list[Row]:
    """Measure a step of training stage by stage.

    Args:
        cfg: MODEL.WEIGHTS may be empty. SOLVER names the optimizer and the precision.
        size: Of the images, which are noise with ellipses.
        images: Of a batch.
        objects: Of each of them.
        repeats: How often.
        dataset: Registered name; its images are taken instead, as training does.
        progress: Whether to show a bar.

    Raises:
        OSError: If a file cannot be read.
        UserError: If something cannot be built or measured.
    """
    check_positive(size=size, images=images, objects=objects)
    model = load_model(cfg).train()
    take_step = Step(cfg, model)
    if dataset:
        take = stage("load")(iter(_loader(cfg, dataset, images)).__next__)
    else:
        batch = training_batch(images, objects, size, model.assigner.num_classes)
        take = repeat(batch).__next__
    return measure(
        lambda: take_step(take()), device=model.device, repeats=repeats, progress=progress
    )


class Step:
    """A step of training as `solo.training.Trainer` takes it, on one process."""

    def __init__(self, cfg: CfgNode, model: SOLO) -> None:
        """Build the optimizer."""
        self._model = model
        self._optimizer = build_optimizer(cfg, model)
        self._autocast, self._scaler = training_precision(cfg)

    def __call__(self, batch: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Change the weights; return the losses."""
        with self._autocast:
            losses: dict[str, Tensor] = self._model(batch)
        with stage("backward"):
            self._scaler.scale(reduce(add, losses.values())).backward()
        with stage("optimizer"):
            self._scaler.unscale_(self._optimizer)
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._optimizer.zero_grad(set_to_none=True)
        return losses


def _loader(cfg: CfgNode, dataset: str, images: int) -> Iterable[list[dict[str, Any]]]:
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TRAIN = (dataset,)
    cfg.SOLVER.IMS_PER_BATCH = images
    # In this process the time of loading is seen.
    cfg.DATALOADER.NUM_WORKERS = 0
    return build_train_loader(cfg)
