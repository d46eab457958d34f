"""A training run as one HTML page: curves, AP, the best and the worst images, and kinds of errors."""

import base64
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from detectron2.config import CfgNode

import solo
from solo.checkpoint.run_files import METRICS
from solo.images import ANY_NUMBER
from solo.inference.datasets import read_bgr
from solo.report.examples import Example, best_and_worst, find_examples
from solo.report.held_out import HeldOut, ImageResult
from solo.report.run_facts import run_facts
from solo.report.run_folder import Run
from solo.report.verdicts import DEFINITIONS, Kind
from solo.visualization.accuracy import (
    MAX_CLASS_PANELS,
    class_aps,
    plot_error_counts,
    plot_precision_recall,
)
from solo.visualization.closeup import draw_close_up
from solo.visualization.curves import plot_metrics
from solo.visualization.pictures import encode_picture
from solo.visualization.sheet import SheetRow, prediction_sheet

_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
_GALLERY = 6
_EXAMPLES = 2
_CELL_SIZE = 220
_JPEG_QUALITY = 88
# Kinds that only objects, or only predictions, can be of.
_OF_ONE_SIDE = {
    Kind.MISSED: "objects",
    Kind.DUPLICATE: "predictions",
    Kind.BACKGROUND: "predictions",
}
# Of the bar of a class with an AP of 100, in pixels.
_BAR_WIDTH = 320


def render_report(run: Run, held_out: HeldOut) -> str:
    """Return the page, with all pictures in it.

    Args:
        run: The training.
        held_out: What its model finds.

    Raises:
        OSError: An image cannot be read again.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["ap"] = lambda value: "\N{EN DASH}" if math.isnan(value) else f"{value:.1f}"
    environment.filters["percent"] = lambda value: f"{value:.0%}"
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(_content(run, held_out))


def _content(run: Run, held_out: HeldOut) -> dict[str, Any]:
    """Return what the template shows."""
    predictions, objects = _count_kinds(held_out.images)
    correct, ignored = objects[Kind.CORRECT], predictions[Kind.IGNORED]
    best, worst = best_and_worst(held_out.images, _GALLERY)
    precision, names = held_out.precisions["segm"], held_out.class_names
    return {
        "title": run.folder.resolve().name,
        "model": _model(run.cfg),
        "facts": _facts(run, held_out),
        "held_out": held_out,
        "metrics": _METRICS,
        "counts": {
            "correct": correct,
            "objects": sum(objects),
            "predictions": sum(predictions) - ignored,
            "ignored": ignored,
        },
        "curves": run.metrics and _plot(partial(plot_metrics, run.folder / METRICS)),
        "classes": _class_rows(held_out),
        "some_classes": len(names) > MAX_CLASS_PANELS,
        "precision_recall": _plot(partial(plot_precision_recall, precision, names)),
        "galleries": {
            "Best": [_gallery_image(image, names) for image in best],
            "Worst": [_gallery_image(image, names) for image in worst],
        },
        "error_counts": _plot(partial(_plot_kinds, predictions, objects)),
        "kinds": [_kind(kind, predictions, objects, held_out) for kind in DEFINITIONS],
        "version": solo.__version__,
    }


def _plot_kinds(predictions: Sequence[int], objects: Sequence[int], output_png: Path) -> None:
    titles = [kind.title for kind in DEFINITIONS]
    found, there = ([counts[kind] for kind in DEFINITIONS] for counts in (predictions, objects))
    plot_error_counts(found, there, titles, output_png)


def _kind(
    kind: Kind, predictions: Sequence[int], objects: Sequence[int], held_out: HeldOut
) -> dict[str, Any]:
    counts = {"predictions": predictions[kind], "objects": objects[kind]}
    if kind in _OF_ONE_SIDE:
        counts = {_OF_ONE_SIDE[kind]: counts[_OF_ONE_SIDE[kind]]}
    examples = find_examples(held_out.images, kind, _EXAMPLES)
    return {
        "title": kind.title,
        "definition": DEFINITIONS[kind],
        "counts": counts,
        "examples": [_example_image(example, held_out.class_names) for example in examples],
    }


def _model(cfg: CfgNode) -> str:
    head = cfg.MODEL.SOLO.HEAD.removesuffix("Head") or cfg.MODEL.META_ARCHITECTURE
    backbone = cfg.MODEL.BACKBONE.NAME
    return f"{head}, {f'ResNet-{cfg.MODEL.RESNETS.DEPTH}' if 'resnet' in backbone else backbone}"


def _facts(run: Run, held_out: HeldOut) -> dict[str, str]:
    """Return the lines of the head by their names."""
    number = f"{len(held_out.images):,}"
    if len(held_out.images) < held_out.num_records:
        number = f"{number} of {held_out.num_records:,}"
    objects = sum(len(image.truth) for image in held_out.images)
    data = f"{held_out.dataset}, {number} images, {objects:,} objects"
    return {**run_facts(run), "Held-out data": data}


def _count_kinds(images: Sequence[ImageResult]) -> tuple[list[int], list[int]]:
    """Return how many predictions, and how many objects, are of each kind."""
    predictions = np.concatenate([image.verdict.predictions for image in images])
    objects = np.concatenate([image.verdict.objects for image in images])
    return (
        np.bincount(predictions, minlength=len(Kind)).tolist(),
        np.bincount(objects, minlength=len(Kind)).tolist(),
    )


def _class_rows(held_out: HeldOut) -> Iterator[dict[str, Any]]:
    number = len(held_out.class_names)
    objects, predictions = (
        np.bincount(np.concatenate(classes), minlength=number).tolist()
        for classes in (
            [image.truth.pred_classes.numpy() for image in held_out.images],
            [image.found.pred_classes.numpy() for image in held_out.images],
        )
    )
    aps = 100 * class_aps(held_out.precisions["segm"])
    box_aps = 100 * class_aps(held_out.precisions["bbox"]).mean(axis=0)
    mask_aps = aps.mean(axis=0)
    for index, name in enumerate(held_out.class_names):
        yield {
            "name": name,
            "objects": objects[index],
            "predictions": predictions[index],
            "box_ap": box_aps[index],
            "ap50": aps[0, index],
            "ap75": aps[5, index],
            "mask_ap": mask_aps[index],
            "width": round(np.nan_to_num(mask_aps[index]) / 100 * _BAR_WIDTH),
        }


def _gallery_image(image: ImageResult, class_names: Sequence[str]) -> dict[str, Any]:
    row = SheetRow(read_bgr({"file_name": image.file_name}, ANY_NUMBER), image.truth, image.found)
    sheet = prediction_sheet([row], class_names, threshold=0, cell_size=_CELL_SIZE)
    return {
        "picture": _jpeg(sheet),
        "name": Path(image.file_name).name,
        "score": image.score,
        "found": int(np.count_nonzero(image.verdict.matches >= 0)),
        "objects": len(image.truth),
        "predictions": len(image.found),
    }


def _example_image(example: Example, class_names: Sequence[str]) -> dict[str, str]:
    image = example.image
    picture = draw_close_up(
        read_bgr({"file_name": image.file_name}, ANY_NUMBER),
        image.truth,
        image.found,
        class_names,
        truth_rows=example.objects,
        prediction_rows=example.predictions,
    )
    return {"picture": _jpeg(picture), "name": Path(image.file_name).name}


def _plot(draw: Callable[[Path], None]) -> str:
    """Return a plot as an address that holds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plot.png")
        draw(path)
        return _address(path.read_bytes(), "png")


def _jpeg(picture: np.ndarray) -> str:
    quality = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    return _address(encode_picture(picture, ".jpg", *quality), "jpeg")


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
