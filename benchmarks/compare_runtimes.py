r"""A model in torch beside its exported files in onnxruntime and OpenVINO, turn by turn, on the CPU.

Examples:
    python benchmarks/compare_runtimes.py --config-file configs/quickstart/solov2_digits.yaml \
        --weights output/quickstart/model_final.pth --int8 --bfloat16 --ap
    python benchmarks/compare_runtimes.py --config-file configs/coco/solov2_R_50_FPN_1x.yaml --int8 --ap

Without --weights they are random, drawn so that the first image has about 200 candidates, and the objects are those
that the model in torch finds itself: the AP says how alike the others' are. The model is exported to a folder that is removed, which compares file and model. OpenVINO is left out where it is not
installed: pip install openvino. Where the time of a file goes: benchmarks/openvino_layers.py.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from random_weights import draw_weights, register_found
from turns import take_turns

from solo.benchmark.tables import Report, write_json
from solo.config.load import inference_config
from solo.errors import UserError, exit_on
from solo.export import runtime
from solo.export.export import ExportRequest, export_model
from solo.export.file_format import ExportFormat
from solo.export.int8 import Int8
from solo.export.openvino import write_model
from solo.export.openvino_runtime import OpenVINOModel
from solo.export.samples import images_to_compare
from solo.inference import Predictor
from solo.inference.datasets import evaluate_predictor
from solo.inference.torch_backend import TorchBackend
from solo.visualization.gallery import Panel, gallery
from solo.visualization.pictures import check_picture_path, write_picture
from solo.visualization.sheet import scale_to

TIMED = (
    "Timed: from BGR images to masks of their size, all images in turn. Medians over the rounds, of the\n"
    "images per second, and of the ratio to torch in the same round. AP: of masks, on DATASETS.TEST."
)
HEADERS = ("runtime", "images/s", "lowest", "highest", "times torch", "instances", "AP")
_RANDOM_IMAGES = 3  # of random weights
_PICTURE_SIDE = 320  # the longer one, in pixels


class Row(NamedTuple):
    """How fast a runtime is.

    Attributes:
        runtime: Its name.
        rate: Images per second, the median.
        lowest: Of a round.
        highest: Of a round.
        ratio: To torch, the median over the rounds.
        instances: Found on all images.
        ap: In percent; None: not asked for.
    """

    runtime: str
    rate: float
    lowest: float
    highest: float
    ratio: float
    instances: int
    ap: float | None = None


class Runner(NamedTuple):
    """A model as one of the runtimes has it."""

    run: Callable[[np.ndarray], Any]  # from an image to what has scores
    predictor: Callable[[], Predictor]  # for its AP


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    with exit_on():
        if min(args.rounds, args.threads) < 1:
            raise UserError("--rounds and --threads must be 1 or more.")
        if args.picture:
            check_picture_path(args.picture)
        torch.set_num_threads(args.threads)
        cv2.setNumThreads(args.threads)
        with tempfile.TemporaryDirectory() as folder:
            report = Report(HEADERS, compare(args, Path(folder)), TIMED)
        if args.json:
            write_json(report, args.json)
    print(report.table())


def compare(args: argparse.Namespace, folder: Path) -> list[Row]:
    """Export the model into a folder, and time all runtimes.

    Raises:
        OSError: If a file cannot be read or written.
        UserError: If the config, the weights or an image is wrong, a package is missing, or the
            export fails.
    """
    cfg = inference_config(args.config_file, args.weights or "", "cpu", args.opts)
    images = images_to_compare(cfg, args.images)
    weights = args.weights
    if not weights:
        images = images[:_RANDOM_IMAGES]
        weights = str(draw_weights(cfg, images[0], folder / "weights.pth"))
        cfg = inference_config(args.config_file, weights, "cpu", args.opts)
        data = f"('{register_found(Predictor(TorchBackend(cfg)), images, folder)}',)"
        args.opts = [*args.opts, "DATASETS.TRAIN", data, "DATASETS.TEST", data]
    cfg = inference_config(args.config_file, weights, "cpu", args.opts)
    model = Predictor(TorchBackend(cfg))
    runners = {"torch": Runner(model, lambda: model)}
    path = export(args, weights, folder, "onnx")
    runners["onnxruntime"] = runner(path, args.threads)
    names = {"onnx": "onnxruntime"}
    if importlib.util.find_spec("openvino"):
        names["openvino"] = "OpenVINO"
        path = as_openvino(path)
        runners["OpenVINO"] = runner(path, args.threads)
        if args.bfloat16:
            runners["OpenVINO bfloat16"] = runner(path, args.threads, amp=True)
    for word, name in names.items() if args.int8 else ():
        int8 = Int8(num_images=1, max_drop=100)  # here AP is a column, and no reason to stop
        path = export(args, weights, folder, word, int8)
        runners[f"{name} int8"] = runner(path, args.threads)
    if args.picture:
        image = max(images, key=lambda image: len(model(image)))
        # What random weights find, they are not sure of.
        draw_found(runners, image, args.picture, None if args.weights else 0.0)
    rows = time_runners({name: one.run for name, one in runners.items()}, images, args.rounds)
    if not args.ap:
        return rows
    return [row._replace(ap=ap_of(cfg, runners[row.runtime], args.num_images)) for row in rows]


def export(
    args: argparse.Namespace, weights: str, folder: Path, word: str, int8: Int8 | None = None
) -> Path:
    """Export the model in a format, and tell how well the file agrees with it; return the file."""
    request = ExportRequest(
        config_file=args.config_file,
        weights=weights,
        output=folder / f"{word}{'_int8' * (int8 is not None)}",
        format=ExportFormat(word),
        images=args.images,
        opts=args.opts,
        int8=int8,
    )
    done = export_model(request)
    print(f"{done.agreement}.")
    return done.path


def as_openvino(path: Path) -> Path:
    """Write an ONNX file of `solo export` as the files that `--format openvino` makes; return the first."""
    import openvino

    metadata = runtime.Model(path).metadata
    write_model(openvino.Core().read_model(path), path.with_suffix(".xml"), metadata)
    return path.with_suffix(".xml")


def runner(path: Path, threads: int, *, amp: bool = False) -> Runner:
    """Load an exported file."""
    if path.suffix == ".xml":
        run: runtime.Model = OpenVINOModel(path, threads=threads, bfloat16=amp)
    else:
        run = runtime.Model(path, threads=threads)
    return Runner(run, lambda: Predictor.from_exported(path, threads=threads, amp=amp))


def draw_found(
    runners: Mapping[str, Runner], image: np.ndarray, path: Path, threshold: float | None
) -> None:
    """Write a picture of what each runtime finds in an image, which is enlarged to be looked at."""
    image = scale_to(image, _PICTURE_SIDE)
    panels = [
        Panel(one.predictor().draw(image, threshold=threshold), [name])
        for name, one in runners.items()
    ]
    write_picture(gallery(panels, len(panels)), path)


def ap_of(cfg: CfgNode, runner: Runner, num_images: int | None) -> float:
    """Return the AP on the first data set of DATASETS.TEST, in percent: of masks, or else of boxes."""
    predictor = runner.predictor()
    results = evaluate_predictor(predictor, cfg.DATASETS.TEST[0], num_images=num_images)
    return results[predictor.tasks[-1]]["AP"]


def time_runners(
    runners: dict[str, Callable[[np.ndarray], Any]], images: Sequence[np.ndarray], rounds: int
) -> list[Row]:
    """Let runtimes take turns on all images; the first of them is what the others are compared with."""
    found = {name: sum(len(run(image).scores) for image in images) for name, run in runners.items()}
    turns = [lambda run=run: [run(image) for image in images] for run in runners.values()]
    seconds = take_turns(*turns, repeats=rounds)
    rates = {
        name: [len(images) / each for each in times]
        for name, times in zip(runners, seconds, strict=True)
    }
    base = np.array(next(iter(rates.values())))
    return [
        Row(
            name,
            rate=float(np.median(values)),
            lowest=min(values),
            highest=max(values),
            ratio=float(np.median(np.array(values) / base)),
            instances=found[name],
        )
        for name, values in rates.items()
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--weights", metavar="FILE", help="checkpoint; default: random weights")
    parser.add_argument(
        "--images",
        nargs="+",
        default=(),
        metavar="FILE",
        help="default: some of DATASETS.TEST if they are here, else made-up ones of 480 x 640",
    )
    parser.add_argument(
        "--int8", action="store_true", help="files in 8 bits, too, calibrated on DATASETS.TRAIN"
    )
    parser.add_argument("--bfloat16", action="store_true", help="OpenVINO in bfloat16, too")
    parser.add_argument("--ap", action="store_true", help="AP of all on DATASETS.TEST")
    parser.add_argument("--num-images", type=int, metavar="N", help="for the AP; default: all")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="draw what each finds in one of the images"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )
    return parser


if __name__ == "__main__":
    main()
