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
from solo.export.quantization import CalibrationImages, Operation, quantized
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
    suffixes: tuple[str, ...] = (".onnx",)
    packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
    smallest = 1
    companions: Mapping[str, Path] = {"solo_runtime.py": Path(runtime.__file__)}

    def write(self, program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
        """Translate a program and write it.

        Raises:
            OSError: It could not be written; no part of it is left.
            onnx.checker.ValidationError: If the standard has something against the file.
            UserError: If it was to be static, and is not; nothing is written then.
        """
        import onnx

        exported = translate(program, metadata)
        if metadata.get("static"):
            from solo.export.tensorrt_rules import check_static

            check_static(exported.model_proto)
        with written_whole(path) as partial:
            exported.save(partial)
        onnx.checker.check_model(path, full_check=True)

    def quantize(self, path: Path, images: CalibrationImages, metadata: dict[str, Any]) -> None:
        """See `QuantizedFormat`: with QuantizeLinear and DequantizeLinear around what is in 8 bits."""
        import onnx

        model = onnx.load(path)
        operations = [Operation(node.name, node.input, node.output) for node in model.graph.node]
        model = quantized(model, operations, images)
        multiply_as_bytes(model.graph)
        onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata)})
        with written_whole(path) as partial:
            onnx.save(model, partial)
        onnx.checker.check_model(path, full_check=True)

    def open(self, path: Path) -> Run:
        """Return what runs a file, by onnxruntime."""
        return runtime.Model(path).run


def translate(program: ExportedProgram, metadata: dict[str, Any]) -> torch.onnx.ONNXProgram:
    """Return a program of `trace` as an ONNX model, with the metadata inside."""
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
    return exported


def multiply_as_bytes(graph: Any) -> None:
    """Let what is multiplied with its own transpose be bytes: masks of zeros and ones, of which each product is exact."""
    from onnx import TensorProto, helper

    sources = {output: node for node in graph.node for output in node.output}
    for node in [*graph.node]:
        transpose = sources.get(node.input[1]) if node.op_type == "MatMul" else None
        if transpose is None or transpose.op_type != "Transpose":
            continue
        if transpose.input[0] != node.input[0]:
            continue
        names = [f"{name}_bytes" for name in node.input]
        kinds = (TensorProto.UINT8, TensorProto.INT8)  # two times as fast as of one sign
        casts = [
            helper.make_node("Cast", [factor], [name], name=name, to=kind)
            for factor, name, kind in zip(node.input, names, kinds, strict=True)
        ]
        counts = f"{node.output[0]}_counts"
        product = helper.make_node("MatMulInteger", names, [counts], name=counts)
        back = helper.make_node("Cast", [counts], node.output, name=node.name, to=TensorProto.FLOAT)
        place = [*graph.node].index(node)
        graph.node.remove(node)
        for new in reversed((*casts, product, back)):
            graph.node.insert(place, new)


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
