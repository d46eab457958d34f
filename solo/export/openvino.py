"""Programs of torch.export as files of OpenVINO, by way of ONNX."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.export import ExportedProgram

from solo.export import openvino_runtime
from solo.export.file_format import Run
from solo.export.onnx import OnnxFormat
from solo.files import written_whole


class OpenVINOFormat:
    """See `FileFormat`. Its own reader of programs knows fewer operators than that of ONNX files."""

    name = "OpenVINO"
    suffixes = (".xml", ".bin")
    packages: tuple[str, ...] = ("onnx", "onnxscript", "openvino")
    smallest = 1
    companions: Mapping[str, Path] = {
        **OnnxFormat.companions,
        "solo_openvino.py": Path(openvino_runtime.__file__),
    }

    def write(self, program: ExportedProgram, path: Path, metadata: dict[str, Any]) -> None:
        """Translate a program and write it; see `FileFormat.write`."""
        import openvino

        with tempfile.TemporaryDirectory() as folder:
            OnnxFormat().write(program, Path(folder, "model.onnx"), metadata)
            model = openvino.Core().read_model(Path(folder, "model.onnx"))
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
