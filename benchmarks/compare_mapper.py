r"""How fast a worker process makes training items, beside detectron2's own mapper.

Examples:
    python benchmarks/compare_mapper.py
    python benchmarks/compare_mapper.py --size 448 --images 16 INPUT.MIXUP.WEIGHT_RANGE "[0.3,0.7]"

The data are synthetic, in the manner of COCO.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetMapper
from detectron2.data import transforms as T
from tqdm import tqdm

from solo.benchmark.tables import Report
from solo.cli._parser import add_options
from solo.cli.benchmark import _shared as benchmark
from solo.config.load import load_config
from solo.data.augmentation.build import build_multi_image
from solo.data.mapper import SOLODatasetMapper
from solo.data.seeded_dataset import SeededDataset
from solo.errors import UserError

BASELINE = "detectron2, polygons"
HEADERS = ("one process, one thread", "images/s", "ms", "ms, p90", "ratio")
TIMED = (
    "Timed: the record, the image file and the augmentations, up to the finished item, in one process\n"
    "and one thread, the files being in memory. All resize to the same square and flip half of the\n"
    "images; all but the first row hand out masks of full size. Median and 90th percentile over the\n"
    "repeats, which take turns; ratio: images per second, to those of the first row."
)


class Row(NamedTuple):
    """One way to make items.

    Attributes:
        name: What is on.
        images_per_second: Median over the repeats.
        median_ms: Milliseconds per image.
        p90_ms: Milliseconds per image, 90th percentile over the repeats.
        ratio: Of the images per second to those of detectron2's mapper with polygons.
    """

    name: str
    images_per_second: float
    median_ms: float
    p90_ms: float
    ratio: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with these arguments; None: with those of the process."""
    benchmark.print_report(_parser(), argv)


def benchmark_data(
    cfg: CfgNode, *, size: int = 640, images: int = 32, repeats: int = 15, progress: bool = False
) -> list[Row]:
    """Measure detectron2's mapper, ours, and ours with each augmentation of several images.

    The data are synthetic, in the manner of COCO, and lie in a temporary folder meanwhile.

    Args:
        cfg: INPUT has the strengths of the augmentations; its probabilities are set here.
        size: Side of the items, in pixels.
        images: Per repeat.
        repeats: Of each row, in turn.
        progress: Whether to show a bar.

    Returns:
        A row per way, detectron2's first.

    Raises:
        UserError: If a number is below one, or a key of INPUT is wrong.
    """
    if min(size, images, repeats) < 1:
        raise UserError("The size, the images and the repeats must be 1 or more.")
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            datasets = _datasets(cfg, size, write_records(Path(folder), images))
            times: dict[str, list[float]] = {name: [] for name in datasets}
            for turn in tqdm(range(repeats + 1), desc="repeats", disable=not progress):
                for name, dataset in datasets.items():
                    times[name].append(_seconds_per_image(dataset, turn * images))
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])
    # The first turn is for warming up.
    return _rows({name: np.array(seconds[1:]) for name, seconds in times.items()})


def write_records(
    folder: Path, count: int, *, size: tuple[int, int] = (480, 640), objects: int = 7
) -> list[dict[str, Any]]:
    """Write images of noise with bright blobs, and return their records in detectron2's format.

    Args:
        folder: Where the JPEG files go.
        count: How many.
        size: (H, W) in pixels.
        objects: Per image; polygons of 24 corners.
    """
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        coarse = rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        polygons = [_blob(rng, size) for _ in range(objects)]
        for polygon in polygons:
            color = rng.integers(0, 255, 3).tolist()
            cv2.fillPoly(image, [np.rint(polygon).astype(np.int32)], color)
        path = folder / f"{number}.jpg"
        cv2.imwrite(str(path), image)
        annotations = [_annotation(polygon, number % 80) for polygon in polygons]
        records.append(
            {
                "file_name": str(path),
                "image_id": number,
                "height": size[0],
                "width": size[1],
                "annotations": annotations,
            }
        )
    return records


def _blob(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return the corners of an object, (24, 2); sizes are spread as COCO's are."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = np.exp(rng.uniform(np.log(10), np.log(140))) * rng.uniform(0.7, 1.3, 24)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None]
    return np.clip(circle + rng.uniform(0, 1, 2) * size[::-1], 0, size[::-1]).round(2)


def _annotation(polygon: np.ndarray, category: int) -> dict[str, Any]:
    return {
        "bbox": [*polygon.min(axis=0).tolist(), *polygon.max(axis=0).tolist()],
        "bbox_mode": 0,
        "category_id": category,
        "segmentation": [polygon.reshape(-1).tolist()],
    }


def _datasets(cfg: CfgNode, size: int, records: list[dict[str, Any]]) -> dict[str, SeededDataset]:
    augmentations = [T.Resize((size, size)), T.RandomFlip()]
    cfg = cfg.clone()
    cfg.defrost()
    cfg.INPUT.JITTER.ENABLED = True  # gives mosaics their size
    cfg.INPUT.JITTER.IMAGE_SIZE = [size, size]
    cfg.INPUT.MULTI_IMAGE_OFF_ITERS = 0

    def detectron2s(mask_format: str) -> SeededDataset:
        mapper = DatasetMapper(
            True,
            augmentations=augmentations,
            image_format=cfg.INPUT.FORMAT,
            use_instance_mask=True,
            instance_mask_format=mask_format,
        )
        return SeededDataset(records, mapper, seed=0, max_unreadable=0)

    def ours(*steps: str) -> SeededDataset:
        for step in ("MOSAIC", "COPY_PASTE", "MIXUP"):
            cfg.INPUT[step].PROB = float(step in steps)
        mapper = SOLODatasetMapper(cfg, True, augmentations=augmentations)
        multi_image = build_multi_image(cfg)
        return SeededDataset(records, mapper, seed=0, max_unreadable=0, multi_image=multi_image)

    return {
        BASELINE: detectron2s("polygon"),
        "detectron2, bitmasks": detectron2s("bitmask"),
        "solo": ours(),
        "solo, mosaic": ours("MOSAIC"),
        "solo, copy-paste": ours("COPY_PASTE"),
        "solo, mixup": ours("MIXUP"),
        "solo, all three": ours("MOSAIC", "COPY_PASTE", "MIXUP"),
    }


def _seconds_per_image(dataset: SeededDataset, first: int) -> float:
    start = time.perf_counter()
    for index in range(len(dataset)):
        dataset[first + index, index]
    return (time.perf_counter() - start) / len(dataset)


def _rows(times: dict[str, np.ndarray]) -> list[Row]:
    baseline = np.median(times[BASELINE])
    return [
        Row(
            name,
            1 / np.median(seconds),
            1000 * np.median(seconds),
            1000 * np.percentile(seconds, 90),
            baseline / np.median(seconds),
        )
        for name, seconds in times.items()
    ]


def _run(args: argparse.Namespace) -> Report:
    cfg = load_config("", args.opts, device="cpu", needs_classes=False)
    rows = benchmark_data(
        cfg, size=args.size, images=args.images, repeats=args.repeats, progress=True
    )
    return Report(HEADERS, rows, TIMED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=_run)
    benchmark.add_output(parser)
    parser.add_argument("--size", type=int, default=640, help="pixels a side; default: %(default)s")
    parser.add_argument("--images", type=int, default=32, help="per repeat; default: %(default)s")
    parser.add_argument("--repeats", type=int, default=15, help="default: %(default)s")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
