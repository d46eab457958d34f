"""What the commands share: their help, and the arguments of a config."""

import argparse

from solo.config.user_modules import add_import


def build_parser(name: str, doc: str) -> argparse.ArgumentParser:
    """Return a parser whose help is the docstring of the command's module.

    Args:
        name: Of the module in solo.tools.
        doc: Its docstring; the last paragraph, with an example, is printed below the options.
    """
    description, _, example = doc.rpartition("\n\n")
    return argparse.ArgumentParser(
        prog=f"python -m solo.tools.{name}",
        description=description,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_config(parser: argparse.ArgumentParser, text: str = "config of the model") -> None:
    """Add --config-file, which has to be given, KEY VALUE ... to override its keys, and --import.

    Args:
        parser: Of a command or a verb.
        text: The help of --config-file.
    """
    parser.add_argument("--config-file", required=True, metavar="FILE", help=text)
    add_opts(parser)


def add_opts(parser: argparse.ArgumentParser) -> None:
    """Add KEY VALUE ... and --import alone: a config is given otherwise, or not needed."""
    add_import(parser)
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys to override")


def read_size(text: str) -> tuple[int, int]:
    """Return the (H, W) of an argument HxW.

    Raises:
        argparse.ArgumentTypeError: If it is none.
    """
    height, _, width = text.lower().partition("x")
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r}: give HEIGHTxWIDTH in pixels, as in 800x1344")
    return int(height), int(width)
