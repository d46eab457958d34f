"""Show a web page that finds the objects on the images dropped on it, and says its address.

example: solo serve --model output/cats --port 8000
"""

import argparse
import os
from typing import TYPE_CHECKING

from solo.cli._model import add_model, chosen_model
from solo.cli._parser import Parser, add_options
from solo.cli.predict import read_score
from solo.demo.page_guard import PASSWORD_VARIABLE

if TYPE_CHECKING:
    from solo.demo.page_server import PageOptions


def add_arguments(parser: Parser) -> None:
    """Add the flags."""
    add_model(parser)
    add_page(parser)
    add_options(parser)


def add_page(parser: Parser) -> None:
    """Add the flags of what the page begins with, of its address, and of who may ask for it."""
    parser.add_argument(
        "--threshold",
        type=read_score,
        metavar="P",
        help="where the slider begins; default: the model's own threshold, or 0.3",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="default: %(default)s, this machine only; 0.0.0.0: whoever reaches it",
    )
    parser.add_argument("--port", type=_read_port, default=7860, help="default: %(default)s")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of the page, as behind a proxy; repeatable",
    )
    parser.add_argument(
        "--password",
        default=os.environ.get(PASSWORD_VARIABLE, ""),
        metavar="WORD",
        help=f"asked for by the page; better in the environment, as {PASSWORD_VARIABLE}",
    )


def run(args: argparse.Namespace) -> None:
    """Show the page until Ctrl-C."""
    from solo.demo.page_server import show_page

    show_page(read_options(args))


def read_options(args: argparse.Namespace) -> "PageOptions":
    """Return what the flags say.

    Raises:
        MisuseError: They do not go together.
        UserError: There is no such model.
        OSError: A run has no config or checkpoint.
    """
    from solo.demo.page_server import PageOptions

    model = chosen_model(args, args.opts)
    return PageOptions(
        config_file=model.config_file,
        weights=model.weights,
        onnx=model.onnx,
        device=model.device,
        opts=args.opts,
        title=model.name,
        threshold=args.threshold,
        host=args.host,
        port=args.port,
        allow_host=args.allow_host,
        password=args.password,
    )


def _read_port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 1 to 65535")
    return int(text)
