#!/usr/bin/env python
"""Train or evaluate a model: `python train_net.py --config-file configs/...yaml`."""

import argparse
import sys

from detectron2.config import CfgNode
from detectron2.engine import default_argument_parser
from detectron2.engine.hooks import CallbackHook
from detectron2.evaluation import verify_results
from detectron2.modeling import build_model
from detectron2.utils import comm

from solo import training
from solo.checkpoint import SOLOCheckpointer
from solo.data import dataset_class_names
from solo.errors import UserError, exit_on
from solo.modeling.fuse import prepare_for_inference
from solo.user_modules import add_import

EXAMPLES = """
examples:
  train on one GPU, or on the CPU if there is none:
    python train_net.py --config-file configs/quickstart/solov2_digits.yaml
  continue after an interruption:
    python train_net.py --config-file ... --resume
  begin anew in the same OUTPUT_DIR; the run that it holds is moved to its folder previous/:
    python train_net.py --config-file ... --overwrite
  on 8 GPUs, in either way:
    python train_net.py --config-file ... --num-gpus 8
    torchrun --nproc-per-node 8 train_net.py --config-file ...
  on two machines, of which the first is called gpu1:
    python train_net.py --config-file ... --num-machines 2 --dist-url tcp://gpu1:29500 --machine-rank 0
    python train_net.py --config-file ... --num-machines 2 --dist-url tcp://gpu1:29500 --machine-rank 1
  evaluate:
    python train_net.py --config-file ... --eval-only MODEL.WEIGHTS output/model_final.pth
"""


def main() -> None:
    """Read the flags and start the workers."""
    parser = default_argument_parser(epilog=EXAMPLES)
    parser.set_defaults(dist_url="auto")
    add_import(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="begin anew where OUTPUT_DIR holds a run, which is then kept in its folder previous/, in "
        "place of what is there",
    )
    args = parser.parse_args()
    flags = ("num_gpus", "num_machines", "machine_rank", "dist_url")
    with exit_on():
        # Before any worker starts, so that a mistake is reported once.
        cfg = training.training_config(args)
        with training.reserved_output_dir(cfg, args):
            training.launch(work, (cfg, args), **{flag: vars(args)[flag] for flag in flags})


def work(cfg: CfgNode, args: argparse.Namespace) -> None:
    """Train, or evaluate with --eval-only, as one of the workers."""
    with exit_on():  # Here, too: a worker may be a process of its own.
        training.setup_run(cfg, args)
        results = evaluate(cfg) if args.eval_only else train(cfg, args)
        if comm.is_main_process():
            verify_results(cfg, results)


def evaluate(cfg: CfgNode) -> dict:
    """Evaluate MODEL.WEIGHTS on DATASETS.TEST, and once more with TEST.AUG, if that is enabled."""
    if not cfg.MODEL.WEIGHTS or not cfg.DATASETS.TEST:
        raise UserError("--eval-only needs MODEL.WEIGHTS and a data set in DATASETS.TEST.")
    model = build_model(cfg)
    names = dataset_class_names(cfg.DATASETS.TRAIN)
    SOLOCheckpointer(model, class_names=names, complete=True).load(cfg.MODEL.WEIGHTS)
    prepare_for_inference(model, cfg)
    with training.told_lost_loaders(cfg):
        results = training.evaluate(cfg, model, training.prepare_evaluation(cfg, model))
        if cfg.TEST.AUG.ENABLED:
            results.update(training.evaluate_with_tta(cfg, model))
    return results


def train(cfg: CfgNode, args: argparse.Namespace) -> dict:
    """Train as the config says."""
    trainer = training.Trainer(cfg)
    # Not before, so that a start which fails leaves what is there of another run.
    record = CallbackHook(before_train=lambda _: training.record_run(cfg, args.config_file))
    trainer.register_hooks([record])
    trainer.resume_or_load(resume=args.resume)
    trainer.prepare_data()
    try:
        return trainer.train()
    except KeyboardInterrupt:
        if comm.is_main_process():
            sys.stderr.write(f"Stopped in iteration {trainer.iter}. {trainer.how_to_resume()}\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
