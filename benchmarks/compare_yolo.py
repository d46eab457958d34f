r"""An exported model of ours beside one of Ultralytics, in the same runtime, turn by turn, on the CPU.

Examples:
    python benchmarks/compare_yolo.py --model exported/model.xml --annotations stamps/val.json --images stamps/val \
        --rival yolo11n-seg_openvino_model --python yolo/bin/python
    python benchmarks/compare_yolo.py --model exported/model.onnx --annotations stamps/val.json --images stamps/val \
        --rival yolo11n-seg.onnx --python yolo/bin/python --threads 2 --json speed.json

The rival is run, never imported: by --python, an environment of its own with ultralytics and openvino or onnxruntime. It
was exported, `yolo export model=best.pt format=openvino imgsz=160`, at the size of our model's longer side.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from turns import take_turns

from solo.benchmark.tables import Report, write_json
from solo.errors import UserError, exit_on
from solo.export.openvino_runtime import OpenVINOModel
from solo.export.runtime import Model, prepare
from solo.images import read_image
from solo.layers.output import encoded_masks
from solo.structures.image_size import ImageSize

TIMED = (
    "Mask AP of all images in percent, by pycocotools, of up to 100 detections an image. Timed on the first of them, from\n"
    "decoded BGR images to masks of their size as run lengths, one at a time, in float32: medians over the turns. Each side\n"
    "shows its most confident instances, as many as the data has objects; ours before `Predictor` looks for\n"
    "doubles. network: ms that the runtime takes of an image."
)
HEADERS = ("model", "images/s", "lowest", "highest", "times rival", "network", "instances", "AP")
_LOWEST = 0.01  # score of what AP looks at
_SIDE = Path(__file__).with_name("yolo_side.py")
# Run lengths of a mask with bytes as text, number of a class, score.
Detection = tuple[dict[str, Any], int, float]


class Turn(NamedTuple):
    """What a side did with all images.

    Attributes:
        seconds: From images to run lengths.
        network: Seconds of these that the runtime took.
        detections: Of each image.
    """

    seconds: float
    network: float
    detections: list[list[Detection]]


class Row(NamedTuple):
    """How a side does.

    Attributes:
        model: Whose.
        rate: Images per second, the median.
        lowest: Of a turn.
        highest: Of a turn.
        ratio: To the rival, the median over the turns.
        network_ms: Of an image, the median.
        instances: Of an image, on average.
        ap: Of masks, in percent.
    """

    model: str
    rate: float
    lowest: float
    highest: float
    ratio: float
    network_ms: float
    instances: float
    ap: float


# Takes a number of images and a threshold of scores.
Side = Callable[[int, float], Turn]


class OurSide:
    """A file of `solo export`, run by what lies beside it."""

    def __init__(self, path: Path, files: Sequence[str], threads: int) -> None:
        """Open the file, and decode the images, or raise a UserError or a FileNotFoundError."""
        try:
            self._model = (OpenVINOModel if path.suffix == ".xml" else Model)(path, threads=threads)
        except (ValueError, RuntimeError) as error:
            raise UserError(str(error)) from error
        self._images = [read_image(file, "BGR") for file in files]
        self.category_ids: list[int] = self._model.metadata["category_ids"]

    @property
    def size(self) -> int:
        """The longer side of an image in pixels, for the network."""
        rules = self._model.metadata["input"]
        return max(rules["size"] or [rules["long_edge"]])

    def __call__(self, count: int, threshold: float) -> Turn:
        """Find the instances of the first images; see `Side`."""
        seconds, network, detections = 0.0, 0.0, []
        for image in self._images[:count]:
            start = time.perf_counter()
            inputs, frames = prepare(image, self._model.metadata["input"])
            ready = time.perf_counter()
            outputs = self._model.run(inputs)
            network += time.perf_counter() - ready
            shown = min(int(outputs["count"]), int((outputs["scores"] >= threshold).sum()))
            masks = torch.from_numpy(outputs["masks"][:shown])
            rles, _ = encoded_masks(masks, ImageSize(*frames), self._model.metadata["mask_thresh"])
            seconds += time.perf_counter() - start
            texts = [{**rle, "counts": rle["counts"].decode()} for rle in rles]
            numbers = (outputs[name][:shown].tolist() for name in ("classes", "scores"))
            detections.append([*zip(texts, *numbers, strict=True)])
        return Turn(seconds, network, detections)


class TheirSide:
    """yolo_side.py in a process of its own."""

    def __init__(
        self, python: str, path: Path, files: Sequence[str], *, size: int, threads: int
    ) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [python, str(_SIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        self._tell({"model": str(path), "files": [*files], "size": size, "threads": threads})

    def __call__(self, count: int, threshold: float) -> Turn:
        """Ask for the instances of the first images; see `Side`.

        Raises:
            UserError: If the process has ended.
        """
        self._tell([count, threshold])
        assert self._process.stdout is not None
        if not (answer := self._process.stdout.readline()):
            raise UserError("The rival ended; what it said stands above.")
        return Turn(**json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _tell(self, words: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(words), file=self._process.stdin, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    with exit_on():
        if (args.model.suffix == ".onnx") != (args.rival.suffix == ".onnx"):
            raise UserError("--model and --rival are files of two runtimes: export both to one.")
        torch.set_num_threads(args.threads)
        cv2.setNumThreads(args.threads)
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(args.annotations)
        report = Report(HEADERS, compare(args, truth), TIMED)
        print(report.table())
        if args.json:
            write_json(report, args.json)


def compare(args: argparse.Namespace, truth: COCO) -> list[Row]:
    """Open both sides, and compare what they find, and how fast.

    Raises:
        UserError: If a file is wrong, or the rival ends.
    """
    files = [str(args.images / image["file_name"]) for image in truth.imgs.values()]
    ours = OurSide(args.model, files, args.threads)
    theirs = TheirSide(args.python, args.rival, files, size=ours.size, threads=args.threads)
    sides = {args.rival.name: theirs, "solo": ours}
    category_ids = {args.rival.name: sorted(truth.cats), "solo": ours.category_ids}
    try:
        found = {name: side(len(files), _LOWEST).detections for name, side in sides.items()}
        thresholds = {name: threshold_of(each, len(truth.anns)) for name, each in found.items()}
        turns = _time(sides, thresholds, args.num_images, args.rounds)
    finally:
        theirs.close()
    aps = {name: mask_ap(truth, each, category_ids[name]) for name, each in found.items()}
    return rows_of(turns, aps)


def threshold_of(detections: Sequence[Sequence[Detection]], count: int) -> float:
    """Return the score from which on there are so many detections, of all images together."""
    scores = sorted((score for image in detections for _, _, score in image), reverse=True)
    return scores[min(count, len(scores)) - 1] if scores else _LOWEST


def mask_ap(
    truth: COCO, detections: Sequence[Sequence[Detection]], category_ids: Sequence[int]
) -> float:
    """Return the AP of masks in percent.

    Args:
        truth: With as many images, in this order.
        detections: Of each image.
        category_ids: Of the classes.
    """
    results = [
        {"image_id": image, "segmentation": mask, "category_id": category_ids[c], "score": score}
        for image, found in zip(truth.imgs, detections, strict=True)
        for mask, c, score in found
    ]
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(truth, truth.loadRes(results), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return 100 * float(judge.stats[0])


def _time(
    sides: Mapping[str, Side], thresholds: Mapping[str, float], count: int, rounds: int
) -> dict[str, list[Turn]]:
    """Let the sides take turns."""
    turns: dict[str, list[Turn]] = {name: [] for name in sides}

    def turn(name: str) -> Callable[[], None]:
        return lambda: turns[name].append(sides[name](count, thresholds[name]))

    take_turns(*map(turn, sides), repeats=rounds)
    return turns


def rows_of(turns: Mapping[str, Sequence[Turn]], aps: Mapping[str, float]) -> list[Row]:
    """Return a row for each side; the first is what the others are compared with."""
    rates = {
        name: np.array([len(turn.detections) / turn.seconds for turn in each])
        for name, each in turns.items()
    }
    first = next(iter(rates.values()))
    rows = []
    for name, each in turns.items():
        count = len(each[0].detections)
        rows.append(
            Row(
                name,
                rate=float(np.median(rates[name])),
                lowest=float(rates[name].min()),
                highest=float(rates[name].max()),
                ratio=float(np.median(rates[name] / first)),
                network_ms=1000 * float(np.median([turn.network for turn in each])) / count,
                instances=sum(map(len, each[0].detections)) / count,
                ap=aps[name],
            )
        )
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="FILE", help="ours, .xml or .onnx"
    )
    parser.add_argument("--annotations", required=True, metavar="FILE", help="in COCO's format")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--rival",
        type=Path,
        required=True,
        metavar="PATH",
        help="an .onnx file, or OpenVINO's folder",
    )
    parser.add_argument(
        "--python", required=True, metavar="FILE", help="interpreter that has ultralytics"
    )
    parser.add_argument(
        "--num-images", type=int, default=100, help="that are timed; default: %(default)s"
    )
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    return parser


if __name__ == "__main__":
    main()
