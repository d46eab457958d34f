#!/usr/bin/env python
"""Train or evaluate a model: `python train_net.py --config-file configs/...yaml`."""

from solo.cli._parser import add_verbose
from solo.errors import exit_on
from solo.terminal import prepare_process, show_messages
from solo.training.start import start
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
    prepare_process()
    show_messages()
    from detectron2.engine import default_argument_parser  # which warns of what a user cannot mend

    parser = default_argument_parser(epilog=EXAMPLES)
    parser.set_defaults(dist_url="auto")
    add_import(parser)
    add_verbose(parser)
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="begin anew where OUTPUT_DIR holds a run, which is then kept in its folder previous/, in "
        "place of what is there",
    )
    with exit_on():
        start(parser.parse_args())


if __name__ == "__main__":
    main()
