"""The page of `solo serve`: its fields, what they do, and the sentences on it."""

import html
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from solo.demo.page_content import Found, find_instances, list_instances, select, write_found
from solo.errors import UserError
from solo.inference import Predictor

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


def build_page(
    gr: ModuleType, predictor: Predictor, title: str, *, threshold: float | None = None
) -> Any:
    """Build the page for a model.

    Args:
        gr: The module gradio.
        predictor: The model.
        title: Its name.
        threshold: Where the slider begins. None: the model's own.

    Returns:
        gr.Blocks, to be launched.
    """

    def find(path: str) -> tuple[Found | str, None]:
        # None: the field is empty again, for the next image to be dropped.
        return answer(Path(path), predictor), None

    def show(found: Found | str | None, threshold: float) -> tuple[Any, ...]:
        return present(gr, found, threshold, predictor.class_names)

    with gr.Blocks(
        title=title,
        fill_width=True,
        analytics_enabled=False,
        delete_cache=(FILES_KEPT, FILES_KEPT),
    ) as page:
        found = gr.State()
        gr.HTML(describe_model(title, predictor.origin, predictor.class_names), elem_id="model")
        first = predictor.threshold if threshold is None else threshold
        connect(lay_out(gr, first, predictor.tell_threshold()), found, find, show)
    return page


def lay_out(gr: ModuleType, first: float, own: str) -> Fields:
    """Add the fields of the page to the gr.Blocks that is open.

    Args:
        gr: The module gradio.
        first: The threshold that the slider begins with.
        own: What is told of that of the model.
    """
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            upload = gr.File(label="Image", height=150, elem_id="upload")
            threshold = gr.Slider(
                0, 1, first, step=0.01, label="Score threshold", info=own, elem_id="threshold"
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


def connect(fields: Fields, found: Any, find: Callable[..., Any], show: Callable[..., Any]) -> None:
    """Let an image be looked at when it is dropped, and be drawn then and at each other threshold.

    Args:
        fields: Of the page.
        found: The gr.State with what was found.
        find: Takes a file; returns the state, and what the field becomes.
        show: Takes the state and the threshold; returns what the other four fields show.
    """
    upload, threshold, *shown = fields
    redraw = {
        "fn": show,
        "inputs": [found, threshold],
        "outputs": shown,
        "show_progress": "hidden",
        "api_visibility": "private",
        # Of all moves and images during a redrawing, the last one counts.
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
    ).then(**redraw)
    threshold.input(**redraw)


def present(
    gr: ModuleType, found: Found | str | None, threshold: float, class_names: Sequence[str]
) -> tuple[Any, ...]:
    """Return what the status, the picture, the table and the download show.

    Args:
        gr: The module gradio.
        found: In an image; a sentence: what went wrong; None: there is no image yet.
        threshold: Score from which on instances are shown.
        class_names: Name per class.
    """
    if found is None:
        return (gr.skip(),) * 4
    if isinstance(found, str):
        return describe_failure(found), None, [], gr.update(value=None, interactive=False)
    chosen = select(found, threshold)
    folder = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR")))
    picture, records = write_found(chosen, class_names, folder)
    rows = [[row.name, f"{row.score:.3f}", row.area] for row in list_instances(chosen)]
    return describe(found, chosen), picture, rows, gr.update(value=records, interactive=True)


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
