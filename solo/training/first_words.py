"""What a training says of itself at its start, in five lines."""

from collections.abc import Sequence, Sized
from operator import attrgetter
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.utils import comm

from solo.architectures import class_node
from solo.checkpoint.run_files import PREVIOUS_RUN
from solo.config.choices import Optimizer
from solo.data.kept_records import known_count, known_objects
from solo.layers import cpu
from solo.modeling.precision import device_name
from solo.terminal import how_many, plural, tell
from solo.training.output_dir import holds_run


def tell_machine(cfg: CfgNode, key: str = "SOLVER.AMP.ENABLED") -> None:
    """Say on what and in which precision, as the key has it, it computes."""
    device, workers = torch.device(cfg.MODEL.DEVICE), comm.get_world_size()
    name = device_name(device)
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 1e9
        what = f"{workers} x " * (workers > 1) + f"{name} of {memory:.0f} GB"
    else:
        processes = f"{workers} processes of " * (workers > 1)
        what = f"the CPU, {name}, {processes}{how_many(torch.get_num_threads(), 'thread')}"
    _tell_line("machine", f"{what}; torch {torch.__version__}")
    _tell_line("precision", _precision(cfg, key))


def tell_task(cfg: CfgNode, loader: object, first: int) -> None:
    """Say what is learned, how long and where the rest is said.

    Args:
        cfg: The config, scaled to the workers.
        loader: The batches of training; of what is no loader the number of images is not known.
        first: The iteration that training begins with; not 0: it goes on.
    """
    images = getattr(loader, "dataset", None)
    count = len(images) if isinstance(images, Sized) else None
    _tell_line("data", _data(cfg, count))
    _tell_line("schedule", _schedule(cfg, count, first))
    _tell_line("output", f"{cfg.OUTPUT_DIR}; its log.txt has all else (-v shows it)")
    folder = Path(cfg.OUTPUT_DIR)
    if not first and holds_run(folder):
        _tell_line("moved", f"the run that is there, to {folder / PREVIOUS_RUN}")


def _tell_line(name: str, text: str) -> None:
    tell(f"{name:10}{text}")


def _precision(cfg: CfgNode, key: str) -> str:
    enabled = attrgetter(key)(cfg)
    if not enabled:
        precision = "float32"
    elif str(cfg.MODEL.DEVICE).startswith("cuda"):
        precision = "float16 where that is safe"
    elif cpu.computes_in_bfloat16(cfg.MODEL.CPU.BFLOAT16):
        precision = "bfloat16 where that is safe"
    else:
        return "float32"  # a warning says why
    return f"{precision} ({key} {enabled})"


def _data(cfg: CfgNode, count: int | None) -> str:
    names = tuple(cfg.DATASETS.TRAIN)
    train = [f"train {_number(count, 'image')}", *_objects(names)]
    train.append(f"{_number(class_node(cfg).NUM_CLASSES, 'class')} ({', '.join(names)})")
    parts = [", ".join(train)]
    for name in cfg.DATASETS.TEST:
        parts.append(f"val {_number(known_count(name), 'image')} ({name})")
    return "; ".join(parts)


def _objects(names: Sequence[str]) -> list[str]:
    counts = [known_objects(name) for name in names]
    known = [count for count in counts if count is not None]
    return [_number(sum(known), "object")] if len(known) == len(counts) else []


def _schedule(cfg: CfgNode, count: int | None, first: int) -> str:
    solver = cfg.SOLVER
    parts = [f"{solver.MAX_ITER:,} iterations of {_number(solver.IMS_PER_BATCH, 'image')}"]
    if count:
        epochs = solver.MAX_ITER * solver.IMS_PER_BATCH / count
        parts[0] += f" = {epochs:{',.0f' if epochs >= 100 else '.3g'}} epochs"
    if first >= solver.MAX_ITER:
        return f"{parts[0]}: complete, and evaluated once more"
    parts.append(
        f"goes on at {first:,}" if first else f"from {cfg.MODEL.WEIGHTS or 'random weights'}"
    )
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
    return plural(what) if count is None else how_many(count, what)
