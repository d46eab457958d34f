"""What each process of a run sets up: log files, random numbers, what says how it was called."""

import argparse
import logging
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng

from solo.config.load import load_config
from solo.config.validity import check_solver
from solo.data.classes import resolve_num_classes
from solo.data.formats import register_coco_json
from solo.files import check_folder
from solo.training.kept_memory import keep_freed_memory
from solo.training.metric_services import check_loggers
from solo.training.record import record_run, versions
from solo.training.schedule import log_schedule, resolve_schedule
from solo.training.spared_logs import setup_logs
from solo.user_modules import import_modules

logger = logging.getLogger(__name__)


def training_config(args: argparse.Namespace) -> CfgNode:
    """Build the config that the flags ask for; needs no group of processes and logs to no file.

    Args:
        args: The flags of detectron2's ``default_argument_parser``: ``config_file``, ``opts`` and,
            optionally, ``num_gpus`` and ``eval_only``.

    Returns:
        The frozen config.

    Raises:
        UserError: If a file or key that the user gave is wrong.
        OSError: If a file cannot be read, or OUTPUT_DIR cannot be written.
    """
    # What asks the data comes last: it may take long to load.
    gpus = getattr(args, "num_gpus", 1) != 0
    cfg = load_config(args.config_file, args.opts or [], gpus=gpus, needs_classes=False)
    check_solver(cfg)
    # Now, rather than at the first checkpoint.
    check_folder(Path(cfg.OUTPUT_DIR), f"OUTPUT_DIR {cfg.OUTPUT_DIR!r}")
    resolve_num_classes(cfg)
    if not getattr(args, "eval_only", False):  # which needs no training data
        check_loggers(cfg)
        resolve_schedule(cfg, args.opts or [])
    return cfg


def setup_config(args: argparse.Namespace) -> CfgNode:
    """Build the config that the flags ask for, and set up logging and random numbers with it.

    See :func:`training_config`; ``eval_only`` is looked at, too. Without it, the config is copied to OUTPUT_DIR.
    """
    cfg = training_config(args)
    setup_run(cfg, args)
    if not args.eval_only:
        record_run(cfg, args.config_file)
    return cfg


def setup_run(cfg: CfgNode, args: argparse.Namespace) -> None:
    """Set up log files in OUTPUT_DIR and random numbers, in each process.

    It does what detectron2's `default_setup` does, which needs a detectron2 with its C++ part.

    Args:
        cfg: Of :func:`training_config`.
        args: The flags, for the log, and for the modules of ``imports`` if there are any.
    """
    # In each process: a spawned one knows what is registered on import only.
    import_modules(getattr(args, "imports", ()))
    register_coco_json(cfg)
    rank = comm.get_rank()
    setup_logs(Path(cfg.OUTPUT_DIR), verbose=getattr(args, "verbose", True), rank=rank)
    logger.info("Worker %d of %d. %s", rank, comm.get_world_size(), _versions(cfg.MODEL.DEVICE))
    logger.info("Command line: %s", args)
    logger.info("Config:\n%s", cfg.dump())
    log_schedule(cfg)
    # Different on each worker, so that they do not augment alike, and the same in each run.
    seed_all_rng(None if cfg.SEED < 0 else cfg.SEED + rank)
    torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK and not args.eval_only
    if cfg.MODEL.DEVICE == "cpu" and not args.eval_only:
        keep_freed_memory()


def _versions(device: str) -> str:
    if device == "cpu":
        where = f"the CPU with {torch.get_num_threads()} threads"
    else:
        where = f"{torch.cuda.get_device_name()} with CUDA {torch.version.cuda}"
    known = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"{known}, on {where}."
