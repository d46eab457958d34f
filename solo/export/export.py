"""From a config and its weights to a folder with all that a machine without torch needs."""

import contextlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from detectron2.config import CfgNode

from solo.architectures import class_node, predicts_masks
from solo.checkpoint.beside_weights import BEST_F1
from solo.config.choices import choose
from solo.config.load import inference_config
from solo.errors import MissingPackageError, UserError
from solo.export import runtime
from solo.export.boxes import TraceableBoxes, compare_boxes
from solo.export.check import Agreement, compare
from solo.export.file_format import ExportFormat, FileFormat, Post, QuantizedFormat
from solo.export.int8 import Int8, Quantization
from solo.export.int8_check import Int8Agreement
from solo.export.onnx import OnnxFormat
from solo.export.openvino import OpenVINOFormat
from solo.export.quantization import PACKAGE
from solo.export.samples import images_to_compare
from solo.export.static_graph import StaticSOLO, static_size
from solo.export.torch_export import TorchExportFormat, trace
from solo.export.traceable import Traceable
from solo.export.wrapper import TraceableSOLO
from solo.files import written_whole
from solo.inference.torch_backend import TorchBackend
from solo.structures.instances import THRESHOLD

QUANTIZED: dict[ExportFormat, QuantizedFormat] = {
    ExportFormat.ONNX: OnnxFormat(),
    ExportFormat.OPENVINO: OpenVINOFormat(),
}
FORMATS: dict[ExportFormat, FileFormat] = {
    **QUANTIZED,
    ExportFormat.TORCH_EXPORT: TorchExportFormat(),
}


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export, and how."""

    config_file: str | Path
    weights: str  # the checkpoint
    output: Path  # folder for the files
    format: ExportFormat = ExportFormat.ONNX  # or its text
    size: tuple[int, int] | None = None  # (H, W) of the only input taken; None: any
    static: bool = False  # as TensorRT takes it; without a size see `static_size`
    post: Post = Post.NMS  # or its text
    images: Sequence[str | Path] = ()  # files to compare on; none: see `images_to_compare`
    opts: Sequence[str] = ()  # KEY VALUE KEY VALUE ..., laid over the config
    int8: Int8 | None = None  # None: all of it in float

    def __post_init__(self) -> None:
        """Turn the words of a command line into those of an enum."""
        object.__setattr__(self, "format", choose(ExportFormat, self.format, "--format"))
        object.__setattr__(self, "post", choose(Post, self.post, "--post"))
        if self.int8 and (self.format not in QUANTIZED or self.post == Post.RAW):
            raise UserError(
                f"--int8 is of --format {' and '.join(QUANTIZED)}, with --post nms: its AP is compared."
            )
        if self.int8 and self.static:
            raise UserError(
                "--int8 or --static: compilers of static graphs have their own way to integers."
            )
        if self.static and self.format == ExportFormat.OPENVINO:
            raise UserError(
                "--static is for compilers of ONNX and torch.export: OpenVINO has no need of it."
            )


class Exported(NamedTuple):
    """A file, and how well it agrees with the model it was made from."""

    path: Path
    agreement: Agreement
    int8: Int8Agreement | None = None


def export_model(request: ExportRequest) -> Exported:
    """Export a model, and compare the file with the model on images.

    The folder gets `model.onnx`, `model.xml` with `model.bin`, or `model.pt2`, the same name with `.json`, and what runs
    it without torch: all of them, or what was there stays. A file that does not pass stays as `model.unchecked.*`.

    Raises:
        UserError: If a part of the request is wrong, or the file does not do what the model does.
        OSError: If a file cannot be read or written.
    """
    file_format = FORMATS[request.format]
    _check_packages(file_format, [PACKAGE] * (request.int8 is not None))
    cfg = _config(request)
    images = images_to_compare(cfg, request.images)
    predictor = TorchBackend(cfg)
    network = _wrapper(cfg, request)(predictor.model, suppress=request.post == Post.NMS).eval()
    if request.static and not request.size:
        request = replace(request, size=static_size(cfg, network.divisor))
    metadata = describe(cfg, predictor, network, request)
    _check_images(images, metadata, request)
    quantization = Quantization(request.int8, cfg, metadata) if request.int8 else None
    program = trace(network, request.size)

    request.output.mkdir(parents=True, exist_ok=True)
    suffix = file_format.suffixes[0]
    unchecked = request.output / f"model.unchecked{suffix}"
    file_format.write(program, unchecked, metadata)
    compared = compare if predicts_masks(cfg) else compare_boxes
    agreement = compared(predictor.model, file_format.open(unchecked), images, metadata)
    try:
        agreement.check()
    except UserError as error:
        raise UserError(f"{error} The file stays as {unchecked}.") from error

    measured = None
    if quantization:
        with _removed_on_failure(unchecked, file_format.suffixes):
            quantized = QUANTIZED[request.format]
            measured = quantization.apply(quantized, unchecked, metadata, predictor)

    path = request.output / f"model{suffix}"
    companions = {name: source.read_bytes() for name, source in file_format.companions.items()}
    described = {f"{path.name}.json": json.dumps(metadata, indent=2).encode()}
    _finish(unchecked, path, file_format.suffixes, {**described, **companions})
    return Exported(path, agreement, measured)


def _config(request: ExportRequest) -> CfgNode:
    """Return the config of the model; refuse what cannot be exported, or not there."""
    cfg = inference_config(request.config_file, request.weights, "cpu", request.opts)
    if cfg.TEST.AUG.ENABLED:
        raise UserError(
            "TEST.AUG.ENABLED is True, and an exported model looks at one view of an image only: "
            "add TEST.AUG.ENABLED False."
        )
    if files := [path for path in (request.output, *request.output.parents) if path.is_file()]:
        raise UserError(f"--output {request.output}: {files[0]} is a file; name a folder.")
    return cfg


def _wrapper(cfg: CfgNode, request: ExportRequest) -> Callable[..., Traceable]:
    if request.static and not predicts_masks(cfg):
        raise UserError(
            "--static is for models that find masks: the suppression of boxes has outputs of any number. Without "
            "it, --size HxW --post raw, there is nothing of that kind in the graph of boxes."
        )
    return (
        (StaticSOLO if request.static else TraceableSOLO) if predicts_masks(cfg) else TraceableBoxes
    )


def _finish(
    unchecked: Path, path: Path, suffixes: Sequence[str], beside: Mapping[str, bytes]
) -> None:
    """Give the files that passed their names, and write what lies beside them, by its names."""
    with _removed_on_failure(unchecked, suffixes), contextlib.ExitStack() as files:
        for name, content in beside.items():
            files.enter_context(written_whole(path.with_name(name))).write_bytes(content)
        for suffix in suffixes:
            unchecked.with_suffix(suffix).replace(path.with_suffix(suffix))


@contextlib.contextmanager
def _removed_on_failure(path: Path, suffixes: Sequence[str]) -> Iterator[None]:
    """Remove files of one name where what is done with them fails."""
    try:
        yield
    except BaseException:
        for suffix in suffixes:
            path.with_suffix(suffix).unlink(missing_ok=True)
        raise


def describe(
    cfg: CfgNode, predictor: TorchBackend, network: Traceable, request: ExportRequest
) -> dict[str, Any]:
    """Return what the runtime, and whoever finds the file, has to know about it."""
    mean = list(map(float, cfg.MODEL.PIXEL_MEAN))
    return {
        "class_names": list(predictor.class_names),
        "category_ids": list(predictor.category_ids),
        "input": {
            "channels": cfg.INPUT.FORMAT,
            "size": request.size,
            "divisor": network.divisor,
            "square": network.square,
            "short_edge": cfg.INPUT.MIN_SIZE_TEST,
            "long_edge": cfg.INPUT.MAX_SIZE_TEST,
            "pad_value": list(map(float, network.pad_value(cfg))),
        },
        "outputs": list(network.output_names),
        **network.description(cfg),
        "threshold": THRESHOLD if predictor.threshold is None else predictor.threshold,
        BEST_F1: None if predictor.threshold is None else {"threshold": predictor.threshold},
        "post": str(request.post),
        "inside_the_graph": {
            "pixel_mean": mean,
            "pixel_std": list(map(float, cfg.MODEL.PIXEL_STD)),
            "test": dict(class_node(cfg).TEST),
            "max_instances": network.max_instances,
        },
        "versions": _versions(),
    }


def _check_packages(file_format: FileFormat, more: Sequence[str]) -> None:
    packages = (*file_format.packages, *more)
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if missing:
        raise MissingPackageError(
            f"{file_format.name} needs {', '.join(missing)}: run `pip install {' '.join(missing)}`."
        )


def _check_images(
    images: Sequence[np.ndarray], metadata: dict[str, Any], request: ExportRequest
) -> None:
    """Refuse images that the program would not take."""
    if request.size:
        return
    smallest = FORMATS[request.format].smallest * metadata["input"]["divisor"]
    names = request.images or [f"comparison image {index}" for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        height, width = runtime.prepare(image, metadata["input"])[1].padded
        if min(height, width) < smallest:
            raise UserError(
                f"{name}: becomes {height} x {width} pixels, and the program takes {smallest} x "
                f"{smallest} at least: give other --images."
            )


def _versions() -> dict[str, str]:
    versions = {}
    packages = {name: "" for file_format in FORMATS.values() for name in file_format.packages}
    for name in ("solo-detectron2", "torch", "torchvision", *packages):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
