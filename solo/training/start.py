"""A training, or an evaluation, from its flags to its results: in as many processes as they ask for."""

import argparse
import logging
import signal
import sys
import time
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.engine.hooks import CallbackHook
from detectron2.evaluation import verify_results
from detectron2.modeling import build_model
from detectron2.utils import comm

from solo.checkpoint import SOLOCheckpointer
from solo.checkpoint.run_files import EVALUATIONS
from solo.data import dataset_class_names
from solo.errors import UserError, exit_on
from solo.inference.datasets import evaluate, evaluate_with_tta, prepare_evaluation
from solo.modeling.fuse import prepare_for_inference
from solo.terminal import LiveLine, prepare_process, stopped_by
from solo.training.first_words import tell_machine, tell_task
from solo.training.last_words import tell_end, tell_evaluation, tell_stop, told_log
from solo.training.launch import is_first_process, launch
from solo.training.output_dir import holds_run, reserved_output_dir
from solo.training.progress import Progress
from solo.training.record import record_run, told_end
from solo.training.run import setup_run, training_config
from solo.training.trainer import Trainer
from solo.training.workers import told_lost_loaders

logger = logging.getLogger(__name__)
_PROCESSES = ("num_gpus", "num_machines", "machine_rank", "dist_url")


def start(args: argparse.Namespace) -> None:
    """Train as the flags say; or evaluate MODEL.WEIGHTS on DATASETS.TEST, with `eval_only`.

    Args:
        args: `config_file`, `opts`, `resume`, `overwrite`, `eval_only`, `imports`, `verbose`, and those
            of :func:`launch`: `num_gpus`, `num_machines`, `machine_rank` and `dist_url`.

    Raises:
        UserError: The user's mistake, found before a process is started.
        OSError: A file cannot be read, or OUTPUT_DIR not be written to.
        SystemExit: A process has told its mistake, or was stopped by Ctrl-C.
    """
    # Before any worker starts, so that a mistake is reported once.
    cfg = training_config(args)
    with reserved_output_dir(cfg, args), _told_end(cfg, args):
        launch(_work, (cfg, args), **{flag: vars(args)[flag] for flag in _PROCESSES})


def _told_end(cfg: CfgNode, args: argparse.Namespace) -> AbstractContextManager[None]:
    is_owner = is_first_process(args.machine_rank) and not args.eval_only
    return told_end(cfg) if is_owner else nullcontext()


def _work(cfg: CfgNode, args: argparse.Namespace) -> None:
    """Train or evaluate, as one of the workers."""
    prepare_process()  # a worker may be one of its own
    with told_log(cfg), exit_on():
        setup_run(cfg, args)
        results = _evaluate(cfg, args) if args.eval_only else _train(cfg, args)
        if comm.is_main_process():
            verify_results(cfg, results)


def _evaluate(cfg: CfgNode, args: argparse.Namespace) -> OrderedDict[str, Any]:
    """Evaluate MODEL.WEIGHTS on DATASETS.TEST, and once more with TEST.AUG, if that is enabled."""
    if not cfg.MODEL.WEIGHTS or not cfg.DATASETS.TEST:
        raise UserError("--eval-only needs MODEL.WEIGHTS and a data set in DATASETS.TEST.")
    cfg = _beside_the_run(cfg)
    model = build_model(cfg)
    names = dataset_class_names(cfg.DATASETS.TRAIN)
    SOLOCheckpointer(model, class_names=names, complete=True).load(cfg.MODEL.WEIGHTS)
    prepare_for_inference(model, cfg)
    if comm.is_main_process():
        tell_machine(cfg, "TEST.AMP.ENABLED")
    with told_lost_loaders(cfg):
        results = evaluate(cfg, model, prepare_evaluation(cfg, model))
        if cfg.TEST.AUG.ENABLED:
            results.update(evaluate_with_tta(cfg, model))
    if comm.is_main_process():
        tell_evaluation(cfg, results, verbose=args.verbose)
    return results


def _beside_the_run(cfg: CfgNode) -> CfgNode:
    """Return the config with another folder for predictions, where those that training made would lie."""
    folder = Path(cfg.OUTPUT_DIR)
    if not holds_run(folder):
        return cfg
    cfg = cfg.clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = str(folder / EVALUATIONS)
    cfg.freeze()
    logger.info("%s holds a run: predictions are written to %s.", folder, cfg.OUTPUT_DIR)
    return cfg


def _train(cfg: CfgNode, args: argparse.Namespace) -> OrderedDict[str, Any]:
    began, is_main = time.monotonic(), comm.is_main_process()
    if is_main:
        tell_machine(cfg)
    trainer = Trainer(cfg)
    # Not before, so that a start which fails leaves what is there of another run.
    trainer.register_hooks([CallbackHook(before_train=lambda me: _record(me, cfg, args))])
    trainer.resume_or_load(resume=args.resume)
    trainer.prepare_data()
    if is_main:
        tell_task(trainer.cfg, trainer.loader, trainer.start_iter)
    try:
        with LiveLine(shown=is_main) as line:
            trainer.register_hooks([Progress(trainer.cfg, line)] * is_main)
            results = trainer.train()
    except KeyboardInterrupt as stop:
        # Of torch, which would raise an error for each process that loads images and was stopped, too.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if is_main:
            where = f"{stopped_by(stop)} in iteration {trainer.iter} of {trainer.max_iter}."
            tell_stop(cfg, f"{where} {trainer.how_to_resume()}")
        sys.exit(130)
    if is_main:
        done = max(trainer.iter, trainer.start_iter)
        tell_end(trainer.cfg, results, done=done, seconds=time.monotonic() - began)
    return results


def _record(trainer: Trainer, cfg: CfgNode, args: argparse.Namespace) -> None:
    first = trainer.start_iter
    weights = trainer.checkpointer.get_checkpoint_file() if first else ""
    record_run(cfg, args.config_file, first=first, weights=weights)
