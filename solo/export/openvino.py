"""Programs of torch.export as files of OpenVINO, by way of ONNX."""

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from torch.export import ExportedProgram

from solo.export import openvino_runtime
from solo.export.file_format import Run
from solo.export.onnx import OnnxFormat, translate
from solo.export.quantization import CalibrationImages, Operation, quantized
from solo.files import written_whole


class OpenVINOFormat:
    """See `FileFormat`. Its own reader of programs knows fewer operators than that of ONNX files."""

    name = "OpenVINO"
    suffixes: tuple[str, ...] = (".xml", ".bin")
    packages: tuple[str, ...] = ("onnx", "onnxscript", "openvino")
    smallest = 1
    companions: Mapping[str, Path] = {
        **OnnxFormat.companions,
        "solo_openvino.py": Path(openvino_runtime.__file__),
    }

    def write(self, program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
        """Translate a program and write it; see `FileFormat.write`."""
        import openvino

        content = translate(program, metadata).model_proto.SerializeToString()
        write_model(openvino.Core().read_model(BytesIO(content)), path, metadata)

    def quantize(self, path: Path, images: CalibrationImages, metadata: dict[str, Any]) -> None:
        """See `QuantizedFormat`: with FakeQuantize around what is in 8 bits."""
        import openvino

        model = openvino.Core().read_model(path)
        operations = [
            Operation(
                node.get_friendly_name(),
                [source.get_node().get_friendly_name() for source in node.input_values()],
                [node.get_friendly_name()],
            )
            for node in model.get_ordered_ops()
        ]
        model = quantized(model, operations, images)
        multiply_as_bytes(model)
        write_model(model, path, metadata)

    def open(self, path: Path) -> Run:
        """Return what runs a file, in float32."""
        return openvino_runtime.OpenVINOModel(path).run


def write_model(model: Any, path: Path, metadata: dict[str, Any]) -> None:
    """Write a model of OpenVINO, with the metadata inside.

    Raises:
        OSError: It could not be written; no part of it is left.
    """
    import openvino

    model.set_rt_info(json.dumps(metadata), [openvino_runtime.METADATA_KEY])
    with written_whole(path) as graph, written_whole(path.with_suffix(".bin")) as weights:
        openvino.serialize(model, graph, weights)
        # Once more, as only now it is known which weights the graph goes with.
        checksum = openvino_runtime.checksum_of(weights)
        model.set_rt_info(checksum, [openvino_runtime.CHECKSUM_KEY])
        openvino.serialize(model, graph, weights)


def multiply_as_bytes(model: Any) -> None:
    """Let what is multiplied with its own transpose be bytes: masks of zeros and ones, of which each product is exact.

    Integers stand for themselves, so that 0 and 1 remain what they are.
    """
    from openvino import opset13 as ops

    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        masks, transpose = (value.get_node() for value in node.input_values())
        if transpose.get_type_name() != "Transpose" or transpose.input_value(0).get_node() != masks:
            continue
        # The second factor has to have a sign.
        for place, (low, high) in zip(node.inputs(), ((0, 255), (-128, 127)), strict=True):
            limits = (np.float32(value) for value in (low, high, low, high))
            rounded = ops.fake_quantize(place.get_source_output(), *limits, 256)
            place.replace_source_output(rounded.output(0))
