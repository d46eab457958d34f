"""Programs of torch.export as ONNX files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401  (its operators)
from torch.export import ExportedProgram

from solo.export import runtime
from solo.export.file_format import Run
from solo.files import written_whole

# The oldest that has DeformConv (19) and that runtimes of 2024 know.
OPSET = 20
INPUT_NAME = "image"
METADATA_KEY = "solo"
# Boxes that a suppression may leave.
_ALL = 1 << 30


class OnnxFormat:
    """See `FileFormat`. Beside each file lies what runs it without torch; the packages are an extra."""

    name = "ONNX"
    suffixes = (".onnx",)
    packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
    smallest = 1
    companions: Mapping[str, Path] = {"solo_runtime.py": Path(runtime.__file__)}

    def write(self, program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
        """Translate a program and write it.

        Raises:
            OSError: It could not be written; no part of it is left.
            onnx.checker.ValidationError: If the standard has something against the file.
        """
        import onnx

        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=metadata["outputs"],
            custom_translation_table={
                torch.ops.torchvision.deform_conv2d.default: _deform_conv,
                torch.ops.torchvision.nms.default: _nms,
            },
            verbose=False,
        )
        assert exported is not None  # since it was not told to write a file itself
        # Where in the sources each node comes from: large, and full of paths of this machine.
        for node in exported.model.graph.all_nodes():
            node.metadata_props.clear()
        exported.model.metadata_props[METADATA_KEY] = json.dumps(metadata)
        with written_whole(path) as partial:
            exported.save(partial)
        onnx.checker.check_model(path, full_check=True)

    def open(self, path: Path) -> Run:
        """Return what runs a file, by onnxruntime."""
        return runtime.Model(path).run


def _deform_conv(
    features: Any,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    """Translate torchvision's operator, whose order of offsets, y before x, is that of ONNX."""
    from onnxscript import opset20 as op

    return op.DeformConv(
        features,
        weight,
        offset,
        bias,
        mask if use_mask else None,
        strides=(stride_h, stride_w),
        pads=(pad_h, pad_w, pad_h, pad_w),
        dilations=(dilation_h, dilation_w),
        group=groups,
        offset_group=offset_groups,
    )


def _nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Translate torchvision's operator for scores of 0 and more: what has less is no box, and is left out."""
    from onnxscript import opset20 as op

    batch, of_a_class = op.Unsqueeze(boxes, [0]), op.Unsqueeze(scores, [0, 1])
    kept = op.NonMaxSuppression(batch, of_a_class, _ALL, iou_threshold, 0.0)
    return op.Squeeze(op.Slice(kept, [2], [3], [1]), [1])  # batch, class, number of the box
