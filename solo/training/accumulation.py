"""The gradients of a batch, of all its images at once or of a part after the other."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from solo.layers.all_workers import sum_over_workers
from solo.modeling.meta_arch import SOLO

Batch = list[dict[str, Any]]


def backward(
    batch: Batch,
    model: nn.Module,
    *,
    parts: int,
    autocast: torch.autocast,
    scaler: torch.amp.GradScaler,
) -> dict[str, Tensor]:
    """Add the gradients of a batch to those of a model.

    In parts they are what the batch as a whole would give, up to rounding: SOLO divides the losses of each by
    the counts of all, and of another model they are averaged. What differs is what looks at other images: a
    part is padded to its own largest one, which moves the grid as it does between workers, and plain batch
    normalisation takes the statistics of a part. Where targets depend on what the network predicts, the counts of
    all parts are not known before, and the losses of each are divided by its own.

    Args:
        batch: Of this worker, in detectron2's format.
        model: In a `DistributedDataParallel` or not; the workers exchange gradients once.
        parts: SOLVER.ACCUMULATE; the number of images is a multiple of it.
        autocast: Of the forward pass.
        scaler: Of the losses.

    Returns:
        The losses by name, scalars.
    """
    if parts == 1:
        with autocast:
            losses: dict[str, Tensor] = model(batch)
        scaler.scale(_total(losses)).backward()
        return losses
    size = len(batch) // parts
    shares = [batch[start : start + size] for start in range(0, len(batch), size)]
    module = model.module if isinstance(model, DistributedDataParallel) else model
    options = {}
    if isinstance(module, SOLO) and not module.assigner.needs_predictions:
        options["normalisers"] = _normalisers(module, shares)
    total: dict[str, Tensor] = {}
    for number, share in enumerate(shares, 1):
        with _alone(model) if number < parts else nullcontext():
            with autocast:
                losses = model(share, **options)
            if not options:
                losses = {name: loss / parts for name, loss in losses.items()}
            scaler.scale(_total(losses)).backward()
        for name, loss in losses.items():
            total[name] = total[name] + loss.detach() if name in total else loss.detach()
    return total


def _total(losses: dict[str, Tensor]) -> Tensor:
    return cast(Tensor, sum(losses.values()))  # which begins with the number 0


@torch.no_grad()
def _normalisers(model: SOLO, parts: Sequence[Batch]) -> Tensor:
    """Return what SOLO's losses of all parts, on all workers, are divided by: see its `forward`.

    The targets say it; they are made once more with the losses, which costs little beside the network.
    """
    counts = []
    for part in parts:
        truth = [model.ground_truth(item) for item in part]
        heights, widths = zip(*(item["image"].shape[-2:] for item in part), strict=True)
        height, width = (
            -(-max(side) // model.divisor) * model.divisor for side in (heights, widths)
        )
        targets = model.assigner.of_batch(truth, (height, width))
        counts.append(model.count(targets, truth))
    return sum_over_workers(torch.stack(counts).sum(dim=0))


def _alone(model: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which a backward pass does not exchange gradients with other workers."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()
