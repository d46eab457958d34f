"""What a training says of itself at its start, in five lines."""

from collections.abc import Sequence, Sized

import torch
from detectron2.config import CfgNode
from detectron2.utils import comm

from solo.config.choices import Optimizer
from solo.data.kept_records import known_count
from solo.layers import cpu
from solo.terminal import tell
from solo.training.record import device_name


def tell_machine(cfg: CfgNode) -> None:
    """Say on what and in which precision it computes, on the main process."""
    if not comm.is_main_process():
        return
    where = str(cfg.MODEL.DEVICE)
    workers = comm.get_world_size()
    if where.startswith("cuda"):
        memory = torch.cuda.get_device_properties(where).total_memory / 1e9
        what = f"{workers} x " * (workers > 1) + f"{device_name(where)} of {memory:.0f} GB"
    else:
        count = torch.get_num_threads()
        threads = f"{count} thread{'s' * (count > 1)}"
        what = (
            f"the CPU, {device_name(where)}, "
            + f"{workers} processes of " * (workers > 1)
            + threads
        )
    _tell_line("machine", f"{what}; torch {torch.__version__}")
    _tell_line("precision", _precision(cfg))


def tell_task(cfg: CfgNode, loader: object, first: int) -> None:
    """Say what is learned, how long and where the rest is said, on the main process.

    Args:
        cfg: The config, scaled to the workers.
        loader: The batches of training; of what is no loader the number of images is not known.
        first: The iteration that training begins with; not 0: it goes on.
    """
    if not comm.is_main_process():
        return
    images = getattr(loader, "dataset", None)
    count = len(images) if isinstance(images, Sized) else None
    _tell_line("data", _data(cfg, count))
    _tell_line("schedule", _schedule(cfg, count, first))
    _tell_line("output", f"{cfg.OUTPUT_DIR}; its log.txt has all else (-v shows it)")


def _tell_line(name: str, text: str) -> None:
    tell(f"{name:10}{text}")


def _precision(cfg: CfgNode) -> str:
    if not cfg.SOLVER.AMP.ENABLED:
        return "float32 (SOLVER.AMP.ENABLED False)"
    if str(cfg.MODEL.DEVICE).startswith("cuda"):
        return "float16 where that is safe (SOLVER.AMP.ENABLED True)"
    if cpu.computes_in_bfloat16(cfg.MODEL.CPU.BFLOAT16):
        return "bfloat16 where that is safe (SOLVER.AMP.ENABLED True)"
    return "float32"  # a warning says why


def _data(cfg: CfgNode, count: int | None) -> str:
    train = f"train {_number(count, 'image')}, {_number(cfg.MODEL.SOLO.NUM_CLASSES, 'class')}"
    return "; ".join([f"{train} ({', '.join(cfg.DATASETS.TRAIN)})", *_tested(cfg.DATASETS.TEST)])


def _tested(names: Sequence[str]) -> list[str]:
    return [f"val {_number(known_count(name), 'image')} ({name})" for name in names]


def _schedule(cfg: CfgNode, count: int | None, first: int) -> str:
    solver = cfg.SOLVER
    parts = [f"{solver.MAX_ITER:,} iterations of {_number(solver.IMS_PER_BATCH, 'image')}"]
    if count:
        parts[0] += f" = {solver.MAX_ITER * solver.IMS_PER_BATCH / count:.3g} epochs"
    if first:
        parts.append(f"from {first:,} on")
    name = "" if solver.OPTIMIZER == Optimizer.SGD else f" ({solver.OPTIMIZER})"
    parts.append(f"rate {solver.BASE_LR:g}{name}")
    evaluation = cfg.TEST.EVAL_PERIOD if cfg.DATASETS.TEST else 0
    if 0 < evaluation < solver.MAX_ITER:
        parts.append(f"evaluation each {evaluation:,}")
    elif cfg.DATASETS.TEST:
        parts.append("evaluation at the end")
    if solver.CHECKPOINT_PERIOD < solver.MAX_ITER:
        parts.append(f"checkpoint each {solver.CHECKPOINT_PERIOD:,}")
    return ", ".join(parts)


def _number(count: int | None, what: str) -> str:
    several = what + ("es" if what.endswith("s") else "s")
    return several if count is None else f"{count:,} {what if count == 1 else several}"
