"""What the commands share: their help, and the arguments of a config and of a model."""

import argparse

from solo.user_modules import add_import


def build_parser(name: str | None, doc: str) -> argparse.ArgumentParser:
    """Return a parser whose help is the docstring of the command's module.

    Args:
        name: Of the module in solo.tools; None: it is a script, and called by its file.
        doc: Its docstring; the last paragraph, with an example, is printed below the options.
    """
    description, _, example = doc.rpartition("\n\n")
    return argparse.ArgumentParser(
        prog=name and f"python -m solo.tools.{name}",
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_predictor(parser: argparse._ActionsContainer) -> None:
    """Add --config-file or --onnx, one of which has to be given, --weights and --device."""
    kinds = parser.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--config-file", metavar="FILE", help="config of the model")
    kinds.add_argument(
        "--onnx", metavar="FILE", help="exported model, run by onnxruntime on the CPU"
    )
    add_weights(parser)


def check_predictor(
    parser: argparse.ArgumentParser, args: argparse.Namespace, opts: str = "--opts"
) -> None:
    """Stop with a sentence at arguments of :func:`add_predictor` and `opts` that do not go together."""
    if args.onnx and (args.weights or args.device or args.opts):
        parser.error(f"--onnx FILE holds weights and config: leave out --weights, --device, {opts}")
    if opts == "--opts" and len(args.opts) % 2:
        parser.error(f"--opts takes pairs KEY VALUE; {len(args.opts)} words were given")


def add_weights(parser: argparse._ActionsContainer, text: str = "checkpoint to load") -> None:
    """Add --weights, with its help, and --device."""
    parser.add_argument("--weights", default="", metavar="FILE", help=text)
    parser.add_argument("--device", default="", help="default: cuda if there is one, else cpu")


def add_config(parser: argparse.ArgumentParser, text: str = "config of the model") -> None:
    """Add --config-file with its help, which has to be given, and what :func:`add_opts` adds."""
    parser.add_argument("--config-file", required=True, metavar="FILE", help=text)
    add_opts(parser)


def add_opts(parser: argparse._ActionsContainer, name: str = "opts") -> None:
    """Add --import, and KEY VALUE ... to override keys of a config, as "opts" or as "--opts"."""
    add_import(parser)
    parser.add_argument(
        name, nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )


def read_size(text: str) -> tuple[int, int]:
    """Return the (H, W) of an argument HxW.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: give HEIGHTxWIDTH in pixels, as in 800x1344")
    return int(height), int(width)
