"""Show a web page that finds the instances on the images dropped on it; see README.md."""

import argparse
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from page_guard import MAX_UPLOAD, Guard, is_this_machine_only
from page_layout import CSS, FONTS, build_page

from solo.config.load import inference_config
from solo.errors import MissingPackageError, exit_on
from solo.inference import Predictor
from solo.inference.torch_backend import TorchBackend
from solo.tools._command import add_opts, add_predictor, build_parser, check_predictor

EXAMPLE = """example:
  python demo/app.py --config-file configs/quickstart/solov2_digits.yaml \\
      --weights output/quickstart/model_final.pth
"""
# Where a password does not show in a list of processes.
PASSWORD_VARIABLE = "SOLO_PAGE_PASSWORD"
OPEN_TO_ALL = (
    "warning: whoever reaches this machine can use the page: put a password into the environment, "
    f"{PASSWORD_VARIABLE}=..., or leave out --host."
)
# People whose last image is kept in memory, for the threshold; and who may wait for the model.
MAX_SESSIONS = 32


def main(argv: Sequence[str] | None = None) -> None:
    """Show the page until Ctrl-C, with these arguments; None: with those of the process."""
    args = parse_arguments(argv)
    with tempfile.TemporaryDirectory(prefix="solo-page-") as files:
        try:
            with exit_on():
                show_page(args, files)
        except KeyboardInterrupt:
            print("Stopped.")


def show_page(args: argparse.Namespace, files: str) -> None:
    """Build the model and its page, and show it until Ctrl-C.

    Args:
        args: Of the command line.
        files: Folder for what is uploaded and what is made of it.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        OSError: A file cannot be read, or the address cannot be listened at.
        UserError: The arguments or the files are wrong, or a package is missing.
    """
    keep_to_this_machine(args.host, files)
    if not args.password and not is_this_machine_only(args.host):
        print(OPEN_TO_ALL, file=sys.stderr)
    # Building a model takes long; so what may be wrong with the rest comes first.
    check_address(args.host, args.port)
    gr = import_gradio()
    predictor, details = load_model(args)
    title = Path(args.onnx or args.config_file).stem
    serve(gr, build_page(gr, predictor, title, details=details), args, files)


def keep_to_this_machine(host: str, files: str) -> None:
    """Set the environment that gradio reads when it is imported.

    Args:
        host: Of the page: asking whether it is up must not go through a proxy.
        files: Folder for what is uploaded and what is made of it.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = files
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), host, "localhost"]))


def import_gradio() -> ModuleType:
    """Import gradio, which only this page needs.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise MissingPackageError(
            f'the page needs gradio ({error}): pip install "solo-detectron2[page]", or in a '
            'checkout pip install -e ".[page]".'
        ) from error
    return gradio


def check_address(host: str, port: int) -> None:
    """Make sure that a server can listen there.

    Raises:
        OSError: It cannot.
    """
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        # What follows is the address once more.
        reason = (error.strerror or str(error)).split(" (")[0]
        raise OSError(
            f"the page cannot be at {host}, port {port} ({reason}): give another --port or --host."
        ) from error


def load_model(args: argparse.Namespace) -> tuple[Predictor, list[str]]:
    """Load the model that the arguments name.

    Returns:
        The model, and what the page says of it beside its name: the weights, the device.

    Raises:
        UserError: The arguments or the files are wrong, or onnxruntime is not installed.
        OSError: A file cannot be read.
    """
    # A hundred masks of a large photo are megabytes as RLE and gigabytes as bitmaps.
    if args.onnx:
        return Predictor.from_onnx(args.onnx, mask_format="rle"), ["onnxruntime", "cpu"]
    opts = ["MODEL.SOLO.TEST.MASK_FORMAT", "rle", *args.opts]
    cfg = inference_config(args.config_file, args.weights, args.device, opts)
    return Predictor(TorchBackend(cfg)), [Path(cfg.MODEL.WEIGHTS).name, cfg.MODEL.DEVICE]


def serve(gr: ModuleType, page: Any, args: argparse.Namespace, files: str) -> None:
    """Show the page at an address, and wait for Ctrl-C.

    Args:
        gr: The module gradio.
        page: Of `build_page`.
        args: Of the command line.
        files: Folder for what is uploaded and what is made of it.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the page is closed.
        OSError: The port is taken.
    """
    from starlette.middleware import Middleware  # comes with gradio

    guard = Middleware(
        Guard,
        host=args.host,
        allowed=args.allow_host,
        password=args.password,
        files=Path(files),
    )
    page.queue(max_size=MAX_SESSIONS).launch(
        server_name=args.host,
        server_port=args.port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        app_kwargs={"middleware": [guard]},
        max_file_size=MAX_UPLOAD,
        state_session_capacity=MAX_SESSIONS,
        theme=gr.themes.Default(primary_hue="blue", **FONTS),
        css=CSS,
    )
    print(f"The page is at {page.local_url} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    finally:
        page.close(verbose=False)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; stop at what does not go together."""
    parser = build_parser(None, f"{__doc__}\n\n{EXAMPLE}")
    add_predictor(parser)
    add_opts(parser, "--opts")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="default: %(default)s, this machine only; 0.0.0.0: whoever reaches it",
    )
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
    parser.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    args = parser.parse_args(argv)
    check_predictor(parser, args)
    if not 1 <= args.port <= 65535:
        parser.error(f"--port {args.port}: give 1 to 65535")
    return args


if __name__ == "__main__":
    # A page that is ended removes what was uploaded, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
