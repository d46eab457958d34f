"""The page of `solo serve` at an address: what may be wrong with it first, then the model, then the page."""

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from solo.demo.page_guard import MAX_UPLOAD, PASSWORD_VARIABLE, Guard, is_this_machine_only
from solo.demo.page_layout import CSS, FONTS, build_page
from solo.errors import MissingPackageError
from solo.inference import Predictor
from solo.inference.opening import open_predictor

OPEN_TO_ALL = (
    "warning: whoever reaches this machine can use the page: put a password into the environment, "
    f"{PASSWORD_VARIABLE}=..., or leave out --host."
)
# People whose last image is kept in memory, for the threshold; and who may wait for the model.
MAX_SESSIONS = 32


class PageOptions(NamedTuple):
    """The model, a config and a checkpoint or an exported file, its title, and who may ask where."""

    config_file: str = ""
    weights: str = ""
    onnx: str = ""
    device: str = ""
    opts: Sequence[str] = ()
    title: str = ""
    host: str = "127.0.0.1"
    port: int = 7860
    allow_host: Sequence[str] = ()
    password: str = ""
    threshold: float | None = None  # where the slider begins; None: the model's own


def show_page(options: PageOptions) -> None:
    """Build the model and its page, and show it until Ctrl-C.

    Raises:
        OSError: A file cannot be read, or the address cannot be listened at.
        UserError: The options or the files are wrong, or a package is missing.
    """
    # For what is uploaded and what is made of it.
    with tempfile.TemporaryDirectory(prefix="solo-page-") as files:
        try:
            keep_to_this_machine(options.host, files)
            if not options.password and not is_this_machine_only(options.host):
                print(OPEN_TO_ALL, file=sys.stderr)
            # Building a model takes long; so what may be wrong with the rest comes first.
            check_address(options.host, options.port)
            gr = import_gradio()
            predictor = load_model(options)
            page = build_page(gr, predictor, options.title, threshold=options.threshold)
            serve(gr, page, options, files)
        except KeyboardInterrupt:
            print("Stopped.")


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
            f'the page needs gradio ({error}): pip install "gradio>=6.31"'
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


def load_model(options: PageOptions) -> Predictor:
    """Load the model.

    Raises:
        UserError: The options or the files are wrong, or what runs it is not installed.
        OSError: A file cannot be read.
    """
    return open_predictor(
        options.config_file,
        options.weights,
        options.onnx,
        device=options.device,
        opts=options.opts,
    )


def serve(gr: ModuleType, page: Any, options: PageOptions, files: str) -> None:
    """Show the page at an address, and wait for Ctrl-C.

    Args:
        gr: The module gradio.
        page: Of `build_page`.
        options: The address, and who may ask.
        files: Folder for what is uploaded and what is made of it.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the page is closed.
        OSError: The port is taken.
    """
    from starlette.middleware import Middleware  # comes with gradio

    guard = Middleware(
        Guard,
        host=options.host,
        allowed=options.allow_host,
        password=options.password,
        files=Path(files),
    )
    page.queue(max_size=MAX_SESSIONS).launch(
        server_name=options.host,
        server_port=options.port,
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
