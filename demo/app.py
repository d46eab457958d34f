"""A web page that shows what a trained model finds on the images dropped on it; see README.md."""

import argparse
import html
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from model_arguments import add_model_arguments, check_model_arguments
from page_content import Found, find_instances, list_instances, select, write_found

from solo.config.load import inference_config
from solo.errors import MissingPackageError, UserError, exit_on
from solo.inference import Predictor
from solo.inference.torch_backend import TorchBackend

EXAMPLE = """example:
  python demo/app.py --config-file configs/quickstart/solov2_digits.yaml \\
      --weights output/quickstart/model_final.pth
"""
THRESHOLD = 0.3
MAX_FILE_SIZE = "200mb"
# People whose last image is kept in memory, for the threshold.
MAX_SESSIONS = 32
# After this many seconds files of an image go; all of them go when the page ends.
FILES_KEPT = 3600
CSS = """
.gradio-container { width: 100%; max-width: 1280px !important; margin: 0 auto !important; }
#model h1 { font-size: 1.5rem; margin: 0; }
#model p, #model summary { opacity: 0.75; }
#model summary { cursor: pointer; }
#status .error { color: var(--error-icon-color); font-weight: 600; }
"""
# Those of the reader's machine: others would have to come from somewhere.
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["system-ui", "sans-serif"]}

logger = logging.getLogger(__name__)


class Fields(NamedTuple):
    """The components of the page: two to fill in, four to look at."""

    upload: Any
    threshold: Any
    status: Any
    picture: Any
    table: Any
    download: Any


def main(argv: Sequence[str] | None = None) -> None:
    """Show the page until Ctrl-C.

    Args:
        argv: The arguments; None: those of the process.
    """
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
    # Building a model takes long; so what may be wrong with the rest comes first.
    check_address(args.host, args.port)
    gr = import_gradio()
    predictor, details = load_model(args)
    title = (args.onnx or args.config_file).stem
    page = build_page(gr, predictor, title, details=details)
    serve(gr, page, args.host, args.port)


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
        reason = error.strerror.split(" (")[0]  # what follows is the address once more
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


def build_page(
    gr: ModuleType, predictor: Predictor, title: str, *, details: Sequence[str] = ()
) -> Any:
    """Build the page for a model.

    Args:
        gr: The module gradio.
        predictor: The model.
        title: Its name.
        details: What else to say of it: its weights, its device.

    Returns:
        gr.Blocks, to be launched.
    """

    def find(path: str) -> tuple[Found | str, None]:
        # None: the field is empty again, for the next image to be dropped.
        return answer(Path(path), predictor), None

    def show(found: Found | str | None, threshold: float) -> tuple[Any, ...]:
        if found is None:  # no image yet
            return (gr.skip(),) * 4
        if isinstance(found, str):
            return describe_failure(found), None, [], gr.update(value=None, interactive=False)
        chosen = select(found, threshold)
        folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
        picture, records = write_found(chosen, predictor.class_names, folder)
        rows = [[row.name, f"{row.score:.3f}", row.area] for row in list_instances(chosen)]
        return describe(found, chosen), picture, rows, gr.update(value=records, interactive=True)

    with gr.Blocks(
        title=title,
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(FILES_KEPT, FILES_KEPT),
    ) as page:
        found = gr.State()
        gr.HTML(describe_model(title, details, predictor.class_names), elem_id="model")
        fields = lay_out(gr)
        upload, threshold, *shown = fields
        redraw = {"fn": show, "inputs": [found, threshold], "outputs": shown}
        # "always_last": of all moves and images during a redrawing, the last one counts.
        quiet = {
            "show_progress": "hidden",
            "api_visibility": "private",
            "trigger_mode": "always_last",
        }
        upload.upload(
            find,
            upload,
            [found, upload],
            show_progress_on=fields.picture,
            # An image that is given while another one is looked at waits, and is not dropped.
            trigger_mode="multiple",
            api_visibility="private",
        ).then(**redraw, **quiet)
        threshold.input(**redraw, **quiet)
    return page


def lay_out(gr: ModuleType) -> Fields:
    """Add the fields of the page to the gr.Blocks that is open."""
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            upload = gr.File(label="Image", height=150, elem_id="upload")
            threshold = gr.Slider(
                0, 1, THRESHOLD, step=0.01, label="Score threshold", elem_id="threshold"
            )
            table = gr.Dataframe(
                headers=["class", "score", "area, pixels"],
                datatype=["str", "str", "number"],
                interactive=False,
                max_height=330,
                buttons=[],
                elem_id="table",
            )
            download = gr.DownloadButton("Download JSON", interactive=False, elem_id="json")
        with gr.Column(scale=5, min_width=320):
            status = gr.HTML("<p>Drop an image on the field.</p>", elem_id="status")
            # Without gradio's button that shares a picture: that one uploads it.
            picture = gr.Image(
                show_label=False,
                height=660,
                interactive=False,
                buttons=["download", "fullscreen"],
                elem_id="picture",
            )
    return Fields(upload, threshold, status, picture, table, download)


def answer(path: Path, predictor: Predictor) -> Found | str:
    """Find the instances of a file, or say in a sentence why not."""
    try:
        return find_instances(path, predictor)
    except UserError as error:
        return str(error)
    except RuntimeError as error:
        logger.warning("%s", error, exc_info=True)
        return str(error)


def describe(found: Found, chosen: Found) -> str:
    """Return what the page says of an image and of the instances chosen, as HTML."""
    return (
        f"<p>{html.escape(found.name)}: {len(chosen.records)} of {len(found.records)} instances, "
        f"found in {found.seconds:.2f} s.</p>"
    )


def describe_failure(sentence: str) -> str:
    """Return what went wrong, as HTML."""
    return f'<p class="error" role="alert">{html.escape(sentence)}</p>'


def describe_model(title: str, details: Sequence[str], class_names: Sequence[str]) -> str:
    """Return the head of the page, as HTML."""
    head = f"<h1>{html.escape(title)}</h1><p>{html.escape(' · '.join(details))}</p>"
    if not class_names:
        return head
    names = html.escape(", ".join(class_names))
    return f"{head}<details><summary>{len(class_names)} classes</summary>{names}</details>"


def serve(gr: ModuleType, page: Any, host: str, port: int) -> None:
    """Show the page at an address, and wait for Ctrl-C.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the page is closed.
        OSError: The port is taken.
    """
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        max_file_size=MAX_FILE_SIZE,
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
    """Parse the command line.

    Args:
        argv: The arguments; None: those of the process.

    Returns:
        The arguments, checked for what does not go together.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    check_model_arguments(parser, args)
    if not 1 <= args.port <= 65535:
        parser.error(f"--port {args.port}: give 1 to 65535")
    return args


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        description="Show a web page that finds the instances on the images dropped on it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="default: %(default)s, this machine only; 0.0.0.0: whoever reaches it, unprotected",
    )
    parser.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    # A page that is ended removes what was uploaded, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
