"""From a config and its weights to a folder with all that a machine without torch needs."""

import importlib.metadata
import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from detectron2.config import CfgNode
from torch.export import ExportedProgram

from solo.config.load import inference_config
from solo.errors import MissingPackageError, UserError
from solo.export import runtime
from solo.export.check import Agreement, Run, compare
from solo.export.samples import images_to_compare
from solo.export.torch_export import SMALLEST, read_program, trace, write_program
from solo.export.wrapper import TraceableSOLO
from solo.inference.torch_backend import TorchBackend

SUFFIXES = {"onnx": ".onnx", "torch_export": ".pt2"}
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export, and how.

    Attributes:
        config_file: The model's config.
        weights: Its checkpoint.
        output: Folder for the files.
        format: A key of SUFFIXES.
        size: (H, W) of the only input taken. None: any.
        post: "nms": with matrix NMS in the graph; "raw": all candidates, without suppression.
        images: Files to compare on; none: see `images_to_compare`.
        opts: KEY VALUE KEY VALUE ..., laid over the config.
    """

    config_file: str | Path
    weights: str
    output: Path
    format: str = "onnx"
    size: tuple[int, int] | None = None
    post: str = "nms"
    images: Sequence[str | Path] = ()
    opts: Sequence[str] = ()


class Exported(NamedTuple):
    """A file, and how well it agrees with the model it was made from."""

    path: Path
    agreement: Agreement


def export_model(request: ExportRequest) -> Exported:
    """Export a model, and compare the file with the model on images.

    The folder gets `model.onnx` or `model.pt2`, the same name with `.json`, and beside ONNX `solo_runtime.py`. A file
    that does not pass stays as `model.unchecked.*`.

    Raises:
        UserError: If a part of the request is wrong, or the file does not do what the model does.
        OSError: If a file cannot be read or written.
    """
    _check_packages(request.format)
    cfg = inference_config(request.config_file, request.weights, "cpu", request.opts)
    if cfg.TEST.AUG.ENABLED:
        raise UserError(
            "TEST.AUG.ENABLED is True, and an exported model looks at one view of an image only: "
            "add --opts TEST.AUG.ENABLED False."
        )
    if files := [path for path in (request.output, *request.output.parents) if path.is_file()]:
        raise UserError(f"--output {request.output}: {files[0]} is a file; name a folder.")
    images = images_to_compare(cfg, request.images)
    predictor = TorchBackend(cfg)
    network = TraceableSOLO(predictor.model, suppress=request.post == "nms").eval()
    metadata = describe(cfg, predictor, network, request)
    _check_images(images, metadata, request)
    program = trace(network, request.size)

    request.output.mkdir(parents=True, exist_ok=True)
    suffix = SUFFIXES[request.format]
    unchecked = request.output / f"model.unchecked{suffix}"
    run = _write(program, unchecked, metadata, network.output_names)
    agreement = compare(predictor.model, run, images, metadata)
    try:
        agreement.check()
    except UserError as error:
        raise UserError(f"{error} The file stays as {unchecked}.") from error

    path = unchecked.replace(request.output / f"model{suffix}")
    path.with_suffix(f"{suffix}.json").write_text(json.dumps(metadata, indent=2))
    if request.format == "onnx":
        shutil.copyfile(runtime.__file__, request.output / "solo_runtime.py")
    return Exported(path, agreement)


def describe(
    cfg: CfgNode, predictor: TorchBackend, network: TraceableSOLO, request: ExportRequest
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
            "short_edge": cfg.INPUT.MIN_SIZE_TEST,
            "long_edge": cfg.INPUT.MAX_SIZE_TEST,
            "pad_value": mean,
        },
        "outputs": list(network.output_names),
        "mask_stride": network.mask_stride,
        "mask_thresh": cfg.MODEL.SOLO.TEST.MASK_THRESH,
        "post": request.post,
        "num_candidates": network.num_candidates,
        "inside_the_graph": {
            "pixel_mean": mean,
            "pixel_std": list(map(float, cfg.MODEL.PIXEL_STD)),
            "test": dict(cfg.MODEL.SOLO.TEST),
            "max_instances": cfg.TEST.DETECTIONS_PER_IMAGE,
        },
        "head": type(network.model.head).__name__,
        "versions": _versions(),
    }


def _check_packages(kind: str) -> None:
    missing = [name for name in _ONNX_PACKAGES if not importlib.util.find_spec(name)]
    if kind == "onnx" and missing:
        raise MissingPackageError(
            f"ONNX needs {', '.join(missing)}: run `pip install 'solo-detectron2[export]'` or "
            f"`pip install {' '.join(missing)}`."
        )


def _check_images(
    images: Sequence[np.ndarray], metadata: dict[str, Any], request: ExportRequest
) -> None:
    """Refuse images that the program would not take; ONNX takes smaller ones, too."""
    if request.format == "onnx" or request.size:
        return
    smallest = SMALLEST * metadata["input"]["divisor"]
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
    for name in ("solo-detectron2", "torch", "torchvision", *_ONNX_PACKAGES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _write(
    program: ExportedProgram, path: Path, metadata: dict[str, Any], output_names: tuple[str, ...]
) -> Run:
    """Write a program in the format of the path's suffix; return what runs the file."""
    if path.suffix == SUFFIXES["onnx"]:
        # Only here: the packages are an extra.
        from solo.export.onnx import write_onnx

        write_onnx(program, path, metadata, output_names)
        return runtime.Model(path).run
    write_program(program, path, metadata)
    module = read_program(path)[0].module()

    @torch.no_grad()
    def run(inputs: np.ndarray) -> dict[str, np.ndarray]:
        outputs = module(torch.from_numpy(inputs))
        return {name: output.numpy() for name, output in outputs.items()}

    return run
