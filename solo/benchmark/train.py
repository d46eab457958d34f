"""One step of training: forward, backward and the update of the weights."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from detectron2.config import CfgNode
from torch import Tensor, nn

from solo.benchmark.models import Workload, load_model, training_stages
from solo.benchmark.synthetic import training_batch
from solo.benchmark.timing import Row, Stopwatch, measure
from solo.data import build_train_loader
from solo.modeling.precision import amp_dtype, loss_scaler
from solo.training.solver import build_optimizer

TIMED = (
    "Timed: one step of training in this process, from the batch (with a data set: from its files) to\n"
    "the new weights; losses has the masks that are decoded for them. Memory: the peak of the first step\n"
    "above the model and its images; gradients and the state of the optimizer count."
)


def benchmark_training(
    cfg: CfgNode,
    workload: Workload,
    *,
    repeats: int = 5,
    dataset: str = "",
    progress: bool = False,
) -> list[Row]:
    """Measure a step of training stage by stage.

    Args:
        cfg: MODEL.WEIGHTS may be empty. SOLVER names the optimizer and the precision.
        workload: What the images are like.
        repeats: How often.
        dataset: Registered name; its images are taken, as training does, instead of noise with
            ellipses.
        progress: Whether to show a bar.

    Raises:
        OSError: If a file cannot be read.
        UserError: If something cannot be built or measured.
    """
    workload.check()
    model = load_model(cfg).train()
    watch = Stopwatch(model.device)
    if dataset:
        batches = watch.each(_read(cfg, dataset, workload.images), "load")
    else:
        batches = _made_up(model, workload)
    take_step = Step(cfg, model, watch)

    return measure(
        lambda: take_step(next(batches)),
        stages=training_stages(model),
        device=model.device,
        repeats=repeats,
        watch=watch,
        progress=progress,
    )


class Step:
    """A step of training as `solo.training.Trainer` takes it, on one process."""

    def __init__(self, cfg: CfgNode, model: nn.Module, watch: Stopwatch) -> None:
        """Build the optimizer; the watch is told the stages."""
        self._model, self._watch = model, watch
        self._optimizer = build_optimizer(cfg, model)
        bfloat16 = cfg.MODEL.CPU.BFLOAT16
        self._dtype = amp_dtype(model.device, bfloat16) if cfg.SOLVER.AMP.ENABLED else None
        self._scaler = loss_scaler(model.device, self._dtype)

    def __call__(self, batch: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Change the weights; return the losses."""
        enabled = self._dtype is not None
        with torch.autocast(self._model.device.type, dtype=self._dtype, enabled=enabled):
            losses = self._model(batch)
        with self._watch.stage("backward"):
            self._scaler.scale(sum(losses.values())).backward()
        with self._watch.stage("optimizer"):
            self._scaler.unscale_(self._optimizer)
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._optimizer.zero_grad(set_to_none=True)
        return losses


def _made_up(model: nn.Module, workload: Workload) -> Iterator[list[dict[str, Any]]]:
    num_classes = model.assigner.num_classes
    batch = training_batch(workload.images, workload.objects, workload.size, num_classes)
    while True:
        yield batch


def _read(cfg: CfgNode, dataset: str, images: int) -> Iterable[list[dict[str, Any]]]:
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATASETS.TRAIN = (dataset,)
    cfg.SOLVER.IMS_PER_BATCH = images
    # In this process the time of loading is seen.
    cfg.DATALOADER.NUM_WORKERS = 0
    return build_train_loader(cfg)
