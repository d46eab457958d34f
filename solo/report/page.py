"""A training run as one HTML page: how good it is, what goes wrong, the best and the worst images, curves."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from detectron2.config import CfgNode

import solo
from solo.architectures import class_node
from solo.checkpoint.run_caption import run_caption
from solo.checkpoint.run_files import METRICS
from solo.evaluation.result_tables import NOUNS
from solo.report.examples import best_and_worst, find_examples
from solo.report.headline import headline
from solo.report.held_out import HeldOut, judged_task
from solo.report.page_pictures import example_image, gallery_image, plotted
from solo.report.page_tables import class_rows, confusions
from solo.report.run_facts import run_facts
from solo.report.run_folder import Run
from solo.report.speed import machine
from solo.report.tally import Tally, tally
from solo.report.verdicts import DEFINITIONS, Kind
from solo.terminal import plural
from solo.visualization.accuracy import (
    MAX_CLASS_PANELS,
    plot_over_threshold,
    plot_precision_recall,
)
from solo.visualization.curves import plot_metrics

_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
_GALLERY = 6
_EXAMPLES = 2


def render_report(run: Run, held_out: HeldOut, cfg: CfgNode) -> str:
    """Return the page, with all pictures in it.

    Args:
        run: The training.
        held_out: What its model finds.
        cfg: That it was examined with, which may be another than the run's.

    Raises:
        OSError: An image cannot be read again.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["ap"] = partial(_number, "{:.1f}")
    environment.filters["hundredths"] = partial(_number, "{:.2f}")
    environment.filters["percent"] = partial(_number, "{:.0%}")
    text = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(_content(run, held_out, cfg))


def _number(form: str, value: float) -> str:
    return "\N{EN DASH}" if math.isnan(value) else form.format(value)


def _content(run: Run, held_out: HeldOut, cfg: CfgNode) -> dict[str, Any]:
    """Return what the template shows."""
    counts = tally(held_out.images)
    best, worst = best_and_worst(held_out.images, _GALLERY)
    names, noun = held_out.class_names, NOUNS[judged_task(held_out.tables)]
    precision = held_out.precisions[judged_task(held_out.tables)]
    return {
        "title": run.folder.resolve().name,
        "model": _model(run.cfg),
        "headline": headline(run, held_out),
        "facts": _facts(run, held_out, counts),
        "held_out": held_out,
        "noun": noun,
        "nouns": plural(noun),
        "metrics": _METRICS,
        "counts": counts,
        "speed": _speed(cfg, held_out),
        "curves": run.metrics and plotted(_curves(run.folder)),
        "classes": class_rows(held_out),
        "confusions": confusions(held_out),
        "over_threshold": plotted(partial(_plot_over_threshold, held_out)),
        "some_classes": len(names) > MAX_CLASS_PANELS,
        "precision_recall": plotted(partial(plot_precision_recall, precision, names)),
        "galleries": {
            "Best": [gallery_image(image, names) for image in best],
            "Worst": [gallery_image(image, names) for image in worst],
        },
        "most": max(max(counts.of(kind).values()) for kind in DEFINITIONS),
        "kinds": [_kind(kind, counts, held_out) for kind in DEFINITIONS],
        "version": solo.__version__,
    }


def _curves(folder: Path) -> Callable[[Path], None]:
    return partial(plot_metrics, folder / METRICS, **run_caption(folder)._asdict())


def _plot_over_threshold(held_out: HeldOut, output_png: Path) -> None:
    curve = held_out.over_threshold
    plot_over_threshold(
        curve.thresholds, curve.precision, curve.recall, curve.f1, curve.best, output_png
    )


def _kind(kind: Kind, counts: Tally, held_out: HeldOut) -> dict[str, Any]:
    examples = find_examples(held_out.images, kind, _EXAMPLES)
    return {
        "title": kind.title,
        "definition": DEFINITIONS[kind],
        "counts": counts.of(kind),
        "examples": [example_image(example, held_out.class_names) for example in examples],
    }


def _model(cfg: CfgNode) -> str:
    head = class_node(cfg).get("HEAD", "")
    # SOLO's heads are called by what they make of it, YOLOX's are of one model.
    name = head.removesuffix("Head") if head.endswith("Head") else cfg.MODEL.META_ARCHITECTURE
    backbone = cfg.MODEL.BACKBONE.NAME
    if "timm" in backbone:
        return f"{name}, {cfg.MODEL.TIMM.NAME}"
    return f"{name}, {f'ResNet-{cfg.MODEL.RESNETS.DEPTH}' if 'resnet' in backbone else backbone}"


def _facts(run: Run, held_out: HeldOut, counts: Tally) -> dict[str, str]:
    """Return what is known of the run by names."""
    number = f"{len(held_out.images):,}"
    if len(held_out.images) < held_out.num_records:
        number = f"{number} of {held_out.num_records:,}"
    data = f"{held_out.dataset}, {number} images, {counts.num_objects:,} objects"
    return {**run_facts(run), "Held-out data": data}


def _speed(cfg: CfgNode, held_out: HeldOut) -> dict[str, str]:
    """Return how fast the model was, in words by what they are about."""
    speed = held_out.speed
    if not speed:
        return {}
    (height, width), side = speed.size, cfg.INPUT.MIN_SIZE_TEST
    resized = f", looked at with a shorter side of {side}" if side else ""
    words = {
        "Time of an image": f"{speed.milliseconds:.3g} ms, the median of {speed.images:,} images",
        "Images a second": f"{1000 / speed.milliseconds:.3g}, one at a time",
        "Size of an image": f"{width} x {height} pixels{resized}",
        "Machine": machine(cfg),
    }
    if speed.memory:
        words["Peak memory"] = f"{speed.memory:,.0f} MB, with all that the examination needs"
    return {name: word for name, word in words.items() if word}
