"""The arguments that name a model, the same for demo.py and app.py."""

import argparse
from pathlib import Path

from solo.config.user_modules import add_import


def add_model_arguments(parser: argparse._ActionsContainer) -> None:
    """Add --config-file or --onnx, --weights, --device, --import and --opts."""
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--config-file", type=Path, metavar="FILE")
    kinds.add_argument(
        "--onnx", type=Path, metavar="FILE", help="exported model, run by onnxruntime on the CPU"
    )
    parser.add_argument("--weights", default="", metavar="FILE", help="checkpoint to load")
    parser.add_argument("--device", default="", help="default: cuda if there is one, else cpu")
    add_import(parser)
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )


def check_model_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Stop with a sentence at arguments that do not go together."""
    if args.onnx and (args.weights or args.device or args.opts):
        parser.error("--onnx FILE holds weights and config: leave out --weights, --device, --opts")
    if len(args.opts) % 2:
        parser.error(f"--opts takes pairs KEY VALUE; {len(args.opts)} words were given")
