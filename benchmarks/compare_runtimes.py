r"""A model in torch beside its exported file in onnxruntime and OpenVINO, turn by turn, on the CPU.

Examples:
    python benchmarks/compare_runtimes.py --config-file configs/quickstart/solov2_digits.yaml \
        --weights output/quickstart/model_final.pth
    python benchmarks/compare_runtimes.py --config-file configs/coco/solov2_R_50_FPN_1x.yaml

Without --weights they are random, drawn so that the first image has about 200 candidates. The model is
exported to a folder that is removed, which compares file and model. OpenVINO is left out where it is not
installed: pip install openvino.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from tqdm import trange

from solo.benchmark.tables import Report, write_json
from solo.config.load import inference_config
from solo.errors import UserError, exit_on
from solo.export import runtime
from solo.export.export import ExportRequest, export_model
from solo.export.samples import images_to_compare
from solo.inference import Predictor
from solo.inference.torch_backend import TorchBackend

TIMED = (
    "Timed: from BGR images to masks of their size, all images in turn. Medians over the rounds, of the\n"
    "images per second, and of the ratio to torch in the same round."
)
HEADERS = ("runtime", "images/s", "lowest", "highest", "times torch", "instances")
_CANDIDATES = 200


class Row(NamedTuple):
    """How fast a runtime is.

    Attributes:
        runtime: Its name.
        rate: Images per second, the median.
        lowest: Of a round.
        highest: Of a round.
        ratio: To torch, the median over the rounds.
        instances: Found on all images.
    """

    runtime: str
    rate: float
    lowest: float
    highest: float
    ratio: float
    instances: int


class OpenVINOModel:
    """The steps of `runtime.Model` around OpenVINO's graph."""

    def __init__(self, path: Path, metadata: dict[str, Any], threads: int) -> None:
        """Compile a file for the CPU, in float32."""
        import openvino

        options = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._graph = openvino.Core().compile_model(path, "CPU", options)
        self._metadata = metadata

    def __call__(self, image_bgr: np.ndarray) -> runtime.Instances:
        """Find the instances of one image; see `runtime.Model`."""
        inputs, frames = runtime.prepare(image_bgr, self._metadata["input"])
        found = self._graph(inputs)
        outputs = {name: found[name] for name in self._metadata["outputs"]}
        return runtime.finish(outputs, frames, self._metadata["mask_thresh"])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: The arguments; None: those of the process.
    """
    args = _parser().parse_args(argv)
    with exit_on():
        if min(args.rounds, args.threads) < 1:
            raise UserError("--rounds and --threads must be 1 or more.")
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
    weights = args.weights or draw_weights(cfg, images[0], folder / "weights.pth")
    exported = export_model(
        ExportRequest(
            config_file=args.config_file,
            weights=str(weights),
            output=folder,
            images=args.images,
            opts=args.opts,
        )
    )
    print(f"{exported.agreement}.")
    cfg = inference_config(args.config_file, str(weights), "cpu", args.opts)
    model = runtime.Model(exported.path, threads=args.threads)
    runners = {"torch": Predictor(TorchBackend(cfg)), "onnxruntime": model}
    if importlib.util.find_spec("openvino"):
        runners["OpenVINO"] = OpenVINOModel(exported.path, model.metadata, args.threads)
    return time_runners(runners, images, args.rounds)


def draw_weights(cfg: CfgNode, image: np.ndarray, path: Path) -> Path:
    """Write random weights that give about `_CANDIDATES` candidates on an image."""
    torch.manual_seed(0)
    cfg = cfg.clone()
    cfg.defrost()
    model = build_model(cfg).eval()
    rules = {
        "channels": cfg.INPUT.FORMAT,
        "size": None,
        "divisor": max(model.backbone.size_divisibility, *model.head.strides),
        "short_edge": cfg.INPUT.MIN_SIZE_TEST,
        "long_edge": cfg.INPUT.MAX_SIZE_TEST,
        "pad_value": cfg.MODEL.PIXEL_MEAN,
    }
    inputs = torch.from_numpy(runtime.prepare(image, rules)[0])
    with torch.no_grad():
        for name, parameter in model.head.named_parameters():
            if "mask_predictors" in name:  # else every mask is empty, or fills the image
                parameter.zero_() if parameter.ndim == 1 else parameter.mul_(10)
        outputs = model.run_network((inputs - model.pixel_mean) / model.pixel_std)
        probabilities = model.postprocessor.probabilities(*outputs.cell_logits)
        last = probabilities.flatten().topk(_CANDIDATES).values[-1]
        wanted = torch.tensor(cfg.MODEL.SOLO.TEST.SCORE_THRESH)
        model.head.category_predictor.bias += torch.logit(wanted) - torch.logit(last) + 1e-3
    torch.save({"model": model.state_dict()}, path)
    return path


def time_runners(
    runners: dict[str, Callable[[np.ndarray], Any]], images: Sequence[np.ndarray], rounds: int
) -> list[Row]:
    """Let runtimes take turns on all images; the first of them is what the others are compared with."""
    found = {name: sum(len(run(image).scores) for image in images) for name, run in runners.items()}
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for _ in trange(rounds, desc="rounds"):
        for name, run in runners.items():
            start = time.perf_counter()
            for image in images:
                run(image)
            rates[name].append(len(images) / (time.perf_counter() - start))
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
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file")
    parser.add_argument(
        "--opts", nargs="*", default=[], metavar="KEY VALUE", help="config keys to override"
    )
    return parser


if __name__ == "__main__":
    main()
