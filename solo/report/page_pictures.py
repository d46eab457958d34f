"""The pictures of the page: plots, images and errors, each as an address that holds it."""

import base64
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from solo.images import ANY_NUMBER
from solo.inference.datasets import read_bgr
from solo.report.examples import Example
from solo.report.held_out import ImageResult
from solo.report.verdict_marks import marks_of
from solo.visualization.closeup import draw_close_up
from solo.visualization.pictures import encode_picture
from solo.visualization.sheet import SheetRow, prediction_sheet

# Of an image and of a close-up, in pixels: twice what the page shows before they are opened.
_CELL_SIZE = 320
_JPEG_QUALITY = 85


class Picture(NamedTuple):
    """A picture in a page."""

    address: str
    width: int  # in pixels
    height: int


def plotted(draw: Callable[[Path], None]) -> Picture:
    """Return a plot that a function writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plot.png")
        draw(path)
        picture = cv2.imread(str(path))
        assert picture is not None
        height, width = picture.shape[:2]
        return Picture(_address(path.read_bytes(), "png"), width, height)


def gallery_image(image: ImageResult, class_names: Sequence[str]) -> dict[str, Any]:
    """Return an image beside its truth and what was found, with its caption."""
    row = SheetRow(_read(image), image.truth, image.found, marks_of(image.verdict))
    sheet = prediction_sheet([row], class_names, threshold=0, cell_size=_CELL_SIZE)
    return {
        "picture": _jpeg(sheet),
        "name": Path(image.file_name).name,
        "score": image.score,
        "found": int(np.count_nonzero(image.verdict.matches >= 0)),
        "objects": len(image.truth),
        "predictions": len(image.found),
    }


def example_image(example: Example, class_names: Sequence[str]) -> dict[str, Any]:
    """Return an error in close-up, and the name of its image."""
    image = example.image
    picture = draw_close_up(
        _read(image),
        image.truth,
        image.found,
        class_names,
        truth_rows=example.objects,
        prediction_rows=example.predictions,
        side=_CELL_SIZE,
        marks=marks_of(image.verdict),
    )
    return {"picture": _jpeg(picture), "name": Path(image.file_name).name}


def _read(image: ImageResult) -> np.ndarray:
    return read_bgr({"file_name": image.file_name}, ANY_NUMBER)


def _jpeg(picture: np.ndarray) -> Picture:
    quality = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    height, width = picture.shape[:2]
    return Picture(_address(encode_picture(picture, ".jpg", *quality), "jpeg"), width, height)


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
