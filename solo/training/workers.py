"""Several processes that train one model: averaged gradients, gathered numbers; and those that load its images."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer
from detectron2.utils import comm
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from solo.config.validity import check_batch_size
from solo.errors import UserError
from solo.layers.memory_format import memory_format

# The newer of two names; torch 2.15 warns of the older one.
_BUFFERS_FLAG = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers"
)
# Signals that people and schedulers send, as torch calls them.
_OF_A_JOB = {"Terminated": "SIGTERM", "Interrupt": "SIGINT", "Hangup": "SIGHUP"}


def scaled_to_workers(cfg: CfgNode) -> CfgNode:
    """Scale batch, rate and length as SOLVER.REFERENCE_WORLD_SIZE says, and the last phase with the length."""
    scaled: CfgNode = DefaultTrainer.auto_scale_workers(cfg, comm.get_world_size())
    if scaled.SOLVER.MAX_ITER != cfg.SOLVER.MAX_ITER:
        longer = scaled.SOLVER.MAX_ITER / cfg.SOLVER.MAX_ITER
        scaled.defrost()  # a copy, as the length is another one
        scaled.INPUT.MULTI_IMAGE_OFF_ITERS = round(cfg.INPUT.MULTI_IMAGE_OFF_ITERS * longer)
        scaled.freeze()
    return scaled


def parallelize(model: nn.Module, device: torch.device) -> nn.Module:
    """Wrap a model, on its device, so that the workers average their gradients, if there are several."""
    if comm.get_world_size() == 1:
        return model
    # The statistics of plain batch normalisation would drift apart; other buffers never change.
    has_statistics = any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
        for module in model.modules()
    )
    options: dict[str, Any] = {
        "device_ids": [comm.get_local_rank()] if device.type == "cuda" else None,
        # Else it waits for gradients that parameters of these features never get.
        "find_unused_parameters": getattr(model, "has_unread_features", False),
        _BUFFERS_FLAG: has_statistics,
    }
    return DistributedDataParallel(model, **options)


def gather_rows(row: Tensor) -> Tensor:
    """Stack one row of each worker.

    Args:
        row: (L,), of the same L, dtype and kind of device everywhere.

    Returns:
        (workers, L), the same everywhere.
    """
    if comm.get_world_size() == 1:
        return row[None]
    rows = [torch.empty_like(row) for _ in range(comm.get_world_size())]
    distributed.all_gather(rows, row)
    return torch.stack(rows)


def average_losses(losses: dict[str, Tensor], data_time: float) -> tuple[dict[str, float], float]:
    """Average the losses over the workers, with one wait for the device.

    Args:
        losses: Scalars by name, the same names on every worker.
        data_time: Seconds that this worker waited for its batch.

    Returns:
        means: By name, in the order of the names; not finite if one worker's is not.
        slowest: The longest time, which all workers wait for.
    """
    names = sorted(losses)
    row = torch.stack([losses[name].detach().float() for name in names])
    rows = gather_rows(torch.cat([row, row.new_tensor([data_time])])).tolist()
    means = torch.tensor([values[:-1] for values in rows], dtype=torch.float64).mean(dim=0)
    return dict(zip(names, means.tolist(), strict=True)), max(values[-1] for values in rows)


def check_workers(cfg: CfgNode) -> None:
    """Raise a UserError where the workers cannot share the batch, or the device is not theirs."""
    workers = comm.get_world_size()
    check_batch_size(cfg, workers)
    if workers > 1 and cfg.MODEL.DEVICE == "cpu" and distributed.get_backend() == "nccl":
        raise UserError(
            f"MODEL.DEVICE is cpu, but {workers} workers were started on GPUs; to train on the "
            "CPU in several processes, hide the GPUs: CUDA_VISIBLE_DEVICES= python train_net.py ..."
        )


def check_same_format(cfg: CfgNode) -> None:
    """Raise a UserError on every worker if their weights would not lie alike in memory.

    That is what CPUs of different kinds suggest; gradients could not be averaged.
    """
    formats = comm.all_gather(str(memory_format(cfg, training=True)))
    if len(set(formats)) > 1:
        raise UserError(
            "The machines have CPUs of different kinds, which suggest different memory formats: set "
            "MODEL.MEMORY_FORMAT to 'contiguous' on all of them."
        )


def check_same_start(start_iter: int, output_dir: str) -> None:
    """Raise a UserError on every worker if they would start at different iterations."""
    starts = comm.all_gather(start_iter)
    if len(set(starts)) > 1:
        raise UserError(
            f"The workers would start at different iterations, {starts}: OUTPUT_DIR {output_dir} "
            "has to be the same folder on all machines."
        )


@contextmanager
def told_lost_loaders(cfg: CfgNode, how_to_resume: Callable[[], str] = str) -> Iterator[None]:
    """Tell in a sentence that a process that loads images was ended, as for lack of memory.

    Args:
        cfg: The config.
        how_to_resume: Returns what to do then, as a sentence, or nothing.

    Raises:
        UserError: In place of torch's RuntimeError, which comes wherever this process is at that time.
        KeyboardInterrupt: It was ended by a signal that ends all processes of a job, of which it hears first.
    """
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition(". ")[0]
        if not reason.startswith("DataLoader worker (pid"):
            raise
        for text, name in _OF_A_JOB.items():
            if f"killed by signal: {text}" in f"{error} {error.__cause__}":
                raise KeyboardInterrupt(name) from error
        raise UserError(
            f"A process that loads images has ended ({reason}), which is what a machine out of memory "
            f"does: lower DATALOADER.NUM_WORKERS, which is {cfg.DATALOADER.NUM_WORKERS}, or "
            f"SOLVER.IMS_PER_BATCH. {how_to_resume()}"
        ) from error


def report_losses(losses: dict[str, Tensor], batch: list[dict[str, Any]]) -> str:
    """Describe the losses and the images of those workers whose losses are not finite.

    Every worker has to call it, with its own, and gets the same text.
    """
    images = [str(item.get("file_name", "an image without file_name")) for item in batch]
    local = {name: float(losses[name].detach()) for name in sorted(losses)}
    reports = []
    for rank, (values, names) in enumerate(comm.all_gather((local, images))):
        if all(math.isfinite(value) for value in values.values()):
            continue
        listed = ", ".join(f"{name} = {value:g}" for name, value in values.items())
        reports.append(f"{listed} (worker {rank}, images {', '.join(names)})")
    return "; ".join(reports)
