"""Reading a file of annotations into records, beside detectron2's load_coco_json.

Examples:
    python benchmarks/compare_reading.py
    python benchmarks/compare_reading.py --annotations 860000 --repeats 1 --json reading.json
"""

import argparse
import json
import logging
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.data import MetadataCatalog
from detectron2.data.datasets import load_coco_json
from pycocotools import mask as coco_mask
from tqdm import tqdm

from solo.benchmark.tables import Report
from solo.cli.benchmark import _shared as benchmark
from solo.data.formats.coco_json import load_coco
from solo.errors import UserError

HEADERS = (
    "masks",
    "annotations",
    "ours, s",
    "detectron2, s",
    "times",
    "ours, MB",
    "theirs, MB",
    "times ",
)
TIMED = (
    "Timed: from the file, which is in memory, to the records, each time in a process of its own; the medians.\n"
    "MB: what that process's memory grows by at its highest. times: ours to detectron2's, so that less is better."
)
SIDES = {"ours": load_coco, "detectron2": load_coco_json}
_SIZE, _PER_IMAGE, _CLASSES = (480, 640), 7, 80


class ReadingRow(NamedTuple):
    """What reading one kind of masks takes: seconds, and MB at the highest."""

    masks: str
    annotations: int
    seconds: float
    their_seconds: float
    times: float
    mb: float
    their_mb: float
    mb_times: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=compare)
    benchmark.add_output(parser)
    parser.add_argument("--annotations", type=int, default=100_000, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=5, help="default: %(default)s")
    benchmark.print_report(parser, argv)


def compare(args: argparse.Namespace) -> Report:
    """Return the table."""
    if args.annotations < 1 or args.repeats < 1:
        raise UserError("--annotations and --repeats must be at least 1")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for masks in tqdm(("polygons", "run lengths"), desc="masks"):
            path = write_annotations(Path(folder, "annotations.json"), args.annotations, masks)
            results: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
            for _ in range(args.repeats):  # in turns
                for side in SIDES:
                    results[side].append(_in_a_process(side, path))
            ours, theirs = (
                [statistics.median(values) for values in zip(*results[side], strict=True)]
                for side in SIDES
            )
            times = [our / their for our, their in zip(ours, theirs, strict=True)]
            pairs = (ours[0], theirs[0], times[0], ours[1], theirs[1], times[1])
            rows.append(ReadingRow(masks, args.annotations, *pairs))
    return Report(HEADERS, rows, TIMED)


def write_annotations(path: Path, count: int, masks: str) -> Path:
    """Write made-up annotations as COCO has them: polygons of 6 to 60 corners, or compressed run lengths."""
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(count):
        corners = int(rng.integers(6, 60))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = np.exp(rng.uniform(2, 4.5)) * rng.uniform(0.7, 1, corners)
        centre = rng.uniform(100, 400, 2)
        points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None] + centre
        polygon = points.clip(0, (_SIZE[1], _SIZE[0])).round(2).ravel().tolist()
        segmentation: Any = [polygon]
        if masks != "polygons":
            rle = coco_mask.merge(coco_mask.frPyObjects([polygon], *_SIZE))
            segmentation = {"size": list(_SIZE), "counts": rle["counts"].decode()}
        x, y = min(polygon[::2]), min(polygon[1::2])
        box = [x, y, max(polygon[::2]) - x + 1, max(polygon[1::2]) - y + 1]
        annotations.append(
            {
                "id": number + 1,
                "image_id": number // _PER_IMAGE,
                "category_id": number % _CLASSES + 1,
                "segmentation": segmentation,
                "area": box[2] * box[3],
                "bbox": box,
                "iscrowd": 0,
            }
        )
    images = [
        {"id": n, "file_name": f"{n:012}.jpg", "height": _SIZE[0], "width": _SIZE[1]}
        for n in range(count // _PER_IMAGE + 1)
    ]
    categories = [{"id": n + 1, "name": f"class {n}"} for n in range(_CLASSES)]
    document = {"images": images, "categories": categories, "annotations": annotations}
    path.write_text(json.dumps(document))
    return path


def _in_a_process(side: str, path: Path) -> tuple[float, float]:
    """Return the seconds of one reading, and MB."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(SIDES[side], str(path), sender))
    process.start()
    measured: tuple[float, float] = receiver.recv()
    process.join()
    return measured


def _read(load: Callable[..., Any], path: str, sender: Any) -> None:
    logging.disable()
    before = _memory()
    start = time.perf_counter()
    records = load(path, "images", "reading_benchmark")
    seconds = time.perf_counter() - start
    sender.send((seconds, _memory() - before))
    del records
    MetadataCatalog.pop("reading_benchmark")


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
