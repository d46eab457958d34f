"""COCO's evaluation of made-up results, beside pycocotools, to the same figures.

Examples:
    python benchmarks/compare_pycocotools.py
    python benchmarks/compare_pycocotools.py --images 500 --detections 20 --json evaluation.json
"""

import argparse
import contextlib
import copy
import io
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, Instances
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from solo.benchmark.tables import Report
from solo.cli.benchmark import _shared as benchmark
from solo.errors import UserError
from solo.evaluation.coco import COCOEvaluator, instances_to_results

TASKS = ("bbox", "segm")
HEADERS = ("task", "images", "detections", "ours, s", "pycocotools, s", "ratio", "difference")
TIMED = (
    "Timed: once, from COCO's result dicts in memory, masks as run lengths, to the table, the ground truth\n"
    "being loaded. ratio: pycocotools' seconds to ours. difference: the largest of all APs, in points."
)
# Of the figures of both, in AP points.
_TOLERANCE = 1e-6
_SIZE = (480, 640)
_CLASSES = 80
_OBJECTS = 7
_PILOT = 40


class EvaluationRow(NamedTuple):
    """What evaluating a task takes.

    Attributes:
        task: "bbox", "segm" or "both".
        images: In the data set.
        detections: Of all images.
        ours_s: Seconds of `COCOEvaluator`.
        pycocotools_s: Seconds of pycocotools.
        ratio: Of pycocotools' seconds to ours.
        difference: The largest between the figures of both, in AP points.
    """

    task: str
    images: int
    detections: int
    ours_s: float
    pycocotools_s: float
    ratio: float
    difference: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    benchmark.print_report(_parser(), argv)


def benchmark_evaluation(
    images: int = 5000, detections: int = 100, *, budget_s: float = 600, progress: bool = False
) -> tuple[list[EvaluationRow], str]:
    """Measure both evaluations.

    Args:
        images: Wanted; there are fewer if the budget does not suffice.
        detections: Per image.
        budget_s: Seconds that all of it may take, by an estimate from a few images.
        progress: Whether to show a bar.

    Returns:
        A row per task and one for both; what to say about the number of images, or nothing.

    Raises:
        UserError: If a number is below one.
        ValueError: If the figures differ.
    """
    if min(images, detections, budget_s) < 1:
        raise UserError("Images, detections and the seconds of the budget must be 1 or more.")
    start = time.perf_counter()
    _compare(min(_PILOT, images), detections, progress=False)
    seconds_per_image = (time.perf_counter() - start) / min(_PILOT, images)
    count = max(min(images, int(budget_s / seconds_per_image)), 1)
    note = ""
    if count < images:
        note = f"{count} of {images} images: more would take longer than {budget_s:.0f} s."
    return _compare(count, detections, progress=progress), note


def _compare(images: int, detections: int, *, progress: bool) -> list[EvaluationRow]:
    truth, outputs = make_results(images, detections, progress=progress)
    rows = []
    with registered(truth) as name:
        for task in TASKS:
            ours_s, ours = _evaluate(name, task, outputs)
            theirs_s, theirs = _evaluate_by_pycocotools(truth, task, outputs)
            difference = float(np.abs(ours - theirs).max())
            if not difference <= _TOLERANCE:
                raise ValueError(
                    f"{task}: the figures differ by {difference} points from those of pycocotools."
                )
            rows.append(_row(task, (images, detections), ours_s, theirs_s, difference))
    ours_s, theirs_s = sum(row.ours_s for row in rows), sum(row.pycocotools_s for row in rows)
    worst = max(row.difference for row in rows)
    return [*rows, _row("both", (images, detections), ours_s, theirs_s, worst)]


def _row(
    task: str, sizes: tuple[int, int], ours_s: float, theirs_s: float, difference: float
) -> EvaluationRow:
    images, detections = sizes
    ratio = theirs_s / ours_s
    return EvaluationRow(task, images, images * detections, ours_s, theirs_s, ratio, difference)


def make_results(
    images: int, detections: int, *, progress: bool = False
) -> tuple[dict[str, Any], dict[int, Instances]]:
    """Make ground truth, and detections of which half are near an object of their class.

    Args:
        images: How many, of 480 x 640 pixels with 7 objects of 80 classes.
        detections: Per image.
        progress: Whether to show a bar.

    Returns:
        COCO's document, and by image id what a model would find, as run lengths.
    """
    rng = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    outputs = {}
    for image_id in tqdm(range(1, images + 1), desc="making results", disable=not progress):
        places, classes = _draw(rng, detections)
        rles = _ellipses(places)
        boxes = coco_mask.toBbox(rles)
        for index in range(_OBJECTS):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(classes[index]) + 1,
                    "segmentation": {**rles[index], "counts": rles[index]["counts"].decode()},
                    "bbox": boxes[index].tolist(),
                    "area": float(coco_mask.area(rles[index])),
                    "iscrowd": 0,
                }
            )
        boxes[:, 2:] += boxes[:, :2]
        found = Instances(_SIZE)
        found.pred_boxes = Boxes(torch.from_numpy(boxes[_OBJECTS:]).float())
        found.scores = torch.from_numpy(rng.random(detections)).float()
        found.pred_classes = torch.from_numpy(classes[_OBJECTS:])
        found.pred_rles = rles[_OBJECTS:]
        outputs[image_id] = found
    document = {
        "info": {},
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "height": _SIZE[0], "width": _SIZE[1]}
            for i in outputs
        ],
        "categories": [{"id": i + 1, "name": str(i)} for i in range(_CLASSES)],
        "annotations": annotations,
    }
    return document, outputs


def _draw(rng: np.random.Generator, detections: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and radius of objects, then of detections, (n, 4), and their classes (n,)."""
    height, width = _SIZE
    count = _OBJECTS + detections
    centers = rng.uniform(0, 1, (count, 2)) * (width, height)
    radii = np.exp(rng.uniform(np.log(8), np.log(150), (count, 2)))
    classes = rng.integers(0, _CLASSES, count)
    near = np.flatnonzero(rng.random(count) < 0.5)
    near = near[near >= _OBJECTS]
    objects = rng.integers(0, _OBJECTS, len(near))
    centers[near] = centers[objects] + rng.normal(0, 0.1, (len(near), 2)) * radii[objects]
    radii[near] = radii[objects] * np.exp(rng.normal(0, 0.1, (len(near), 2)))
    classes[near] = classes[objects]
    return np.concatenate([centers, radii], axis=1), classes


def _ellipses(places: np.ndarray) -> list[dict[str, Any]]:
    """Return the run lengths of ellipses, each one of 24 corners."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    corners = places[:, None, :2] + circle * places[:, None, 2:]
    polygons = corners.clip(0, _SIZE[::-1]).reshape(len(places), -1).tolist()
    # More than 255 at a time overflow in pycocotools with NumPy 2.
    return [rle for polygon in polygons for rle in coco_mask.frPyObjects([polygon], *_SIZE)]


@contextlib.contextmanager
def registered(document: dict[str, Any]) -> Iterator[str]:
    """Register ground truth as a data set while the body runs."""
    name = "made_up_for_benchmark"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "truth.json")
        path.write_text(json.dumps(document))
        MetadataCatalog.get(name).set(
            json_file=str(path),
            thing_classes=[category["name"] for category in document["categories"]],
            thing_dataset_id_to_contiguous_id={i + 1: i for i in range(_CLASSES)},
        )
        try:
            yield name
        finally:
            MetadataCatalog.remove(name)


def _evaluate(name: str, task: str, outputs: dict[int, Instances]) -> tuple[float, np.ndarray]:
    """Return our seconds and our figures."""
    evaluator = COCOEvaluator(name, (task,), distributed=False)
    evaluator.reset()
    for image_id, found in outputs.items():
        evaluator.process([{"image_id": image_id}], [{"instances": found}])
    start = time.perf_counter()
    figures = evaluator.evaluate()[task]
    seconds = time.perf_counter() - start
    # Of a class without objects there is no figure.
    return seconds, np.nan_to_num([*figures.values()])


def _evaluate_by_pycocotools(
    truth: dict[str, Any], task: str, outputs: dict[int, Instances]
) -> tuple[float, np.ndarray]:
    """Return pycocotools' seconds and its figures, in the order of ours."""
    results = []
    for image_id, found in outputs.items():
        for result in instances_to_results(found, image_id):
            result["category_id"] += 1
            # Without their boxes masks have their own areas.
            del result[{"segm": "bbox", "bbox": "segmentation"}[task]]
            results.append(result)
    api = COCO()
    api.dataset = copy.deepcopy(truth)  # which pycocotools writes into
    with contextlib.redirect_stdout(io.StringIO()):
        api.createIndex()
        start = time.perf_counter()
        evaluated = COCOeval(api, api.loadRes(results), task)
        evaluated.evaluate()
        evaluated.accumulate()
        evaluated.summarize()
        seconds = time.perf_counter() - start
    precision = np.moveaxis(evaluated.eval["precision"][:, :, :, 0, -1], 2, 0)  # (classes, ...)
    of_classes = [part[part > -1].mean() if (part > -1).any() else 0 for part in precision]
    return seconds, 100 * np.array([*evaluated.stats[:6], *of_classes])


def _run(args: argparse.Namespace) -> Report:
    rows, note = benchmark_evaluation(
        args.images, args.detections, budget_s=args.budget, progress=True
    )
    return Report(HEADERS, rows, f"{TIMED} {note}".rstrip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=_run)
    benchmark.add_output(parser)
    parser.add_argument("--images", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--detections", type=int, default=100, help="per image; default: 100")
    parser.add_argument(
        "--budget", type=float, default=600, metavar="S", help="seconds; default: %(default)s"
    )
    return parser


if __name__ == "__main__":
    main()
